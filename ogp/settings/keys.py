"""The keys of config.yaml, read off the schema: what each takes, in words, and its default."""

import types
from collections import abc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from ogp.settings.schema import Settings
from ogp.settings.section import Section

WORDS: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key that holds a value."""

    name: str
    """Dotted, e.g. `server.port`."""
    annotation: Any
    """The field's type, its bounds included."""
    default: Any
    meaning: str
    """The schema's own sentence."""

    @property
    def right(self) -> str:
        """What the key takes, e.g. `a whole number from 0 to 65535`."""
        return describe(self.annotation)

    @property
    def types(self) -> frozenset[Any]:
        """The plain types it takes: bool, int, float, str, Path, NoneType, tuple."""
        return frozenset(_types(self.annotation))

    @property
    def choices(self) -> tuple[str, ...]:
        """Its fixed words, e.g. `auto`."""
        return tuple(_choices(self.annotation))

    @property
    def is_open(self) -> bool:
        """Whether it holds entries under names that the operator chooses."""
        return get_origin(_bare(self.annotation)) is abc.Mapping

    @property
    def item(self) -> Any:
        """The type of one element, for a key that takes a list; else None."""
        listed = entry_annotation(self.annotation, (0,))
        return None if listed is _bare(self.annotation) else listed


@cache
def all_keys() -> Mapping[str, Key]:
    """Every key by dotted name, in the order of the schema."""
    return {key.name: key for key in _walk(Settings(), "")}


@cache
def all_sections() -> frozenset[str]:
    """Dotted names of everything that holds keys rather than a value."""
    return frozenset(
        name.rsplit(".", depth)[0] for name in all_keys() for depth in range(1, name.count(".") + 1)
    )


def _walk(section: Section, prefix: str) -> Iterator[Key]:
    for name, field in type(section).model_fields.items():
        dotted, value = f"{prefix}{name}", getattr(section, name)
        if isinstance(value, Section):
            yield from _walk(value, f"{dotted}.")
        else:
            yield Key(dotted, _with_metadata(field), value, field.description or "")


def names_in(section: type[Section]) -> Mapping[str, FieldInfo]:
    """The fields of a section or entry by the names that a file has for them."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def is_section(annotation: Any) -> bool:
    """Whether it is a model with keys of its own."""
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _with_metadata(field: FieldInfo) -> Any:
    """Pydantic takes `Annotated` apart; put it back together."""
    annotation: Any = field.annotation
    for bound in field.metadata:
        annotation = Annotated[annotation, bound]
    return annotation


def describe(annotation: Any) -> str:
    """What a type takes, in words an operator knows."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return describe(arguments[0]) + _bounds(arguments[1:])
    if origin is Literal:
        words = [str(word) for word in arguments]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if origin in (Union, types.UnionType):
        return " or ".join(describe(argument) for argument in arguments)
    if origin is tuple:
        return f"a list of {_plural(arguments[0])}"
    if origin is abc.Mapping:
        return f"names, each with {describe(arguments[1])}"
    if is_section(annotation):
        return "an entry with " + ", ".join(names_in(annotation))
    return WORDS.get(annotation, "another value")


def _plural(annotation: Any) -> str:
    if is_network(annotation):
        return "addresses and networks such as 10.0.0.0/8 or fd00::/8"
    if annotation is str:
        return "texts"
    if is_section(annotation):
        return "entries with " + ", ".join(names_in(annotation))
    return f"entries, each {describe(annotation)}"


def _bounds(metadata: tuple[Any, ...]) -> str:
    found: dict[str, Any] = {}
    for item in metadata:
        for part in getattr(item, "metadata", [item]):
            for name in ("ge", "gt", "le", "lt"):
                bound = getattr(part, name, None)
                if bound is not None:
                    found[name] = bound
    if "ge" in found and "le" in found:
        return f" from {found['ge']} to {found['le']}"
    words = {"ge": "of at least", "gt": "above", "le": "up to", "lt": "below"}
    return "".join(f" {word} {found[name]}" for name, word in words.items() if name in found)


def _types(annotation: Any) -> Iterator[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _types(arguments[0])
    elif origin is Literal:
        yield str
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _types(argument)
    else:
        yield origin or annotation


def _choices(annotation: Any) -> Iterator[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        yield from arguments
    elif origin in (Annotated, Union, types.UnionType):
        for argument in arguments:
            yield from _choices(argument)


def is_network(annotation: Any) -> bool:
    """Whether it is the type of an address or network."""
    return IPv4Network in get_args(annotation)


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return annotation


def entry_annotation(annotation: Any, path: tuple[int | str, ...]) -> Any:
    """The type of something inside a value, e.g. of `patterns[0].max_length`."""
    for step in path:
        annotation = _bare(annotation)
        if isinstance(step, int) and get_origin(annotation) is tuple:
            annotation = get_args(annotation)[0]
        elif isinstance(step, str) and get_origin(annotation) is abc.Mapping:
            annotation = get_args(annotation)[1]
        elif is_section(annotation) and step in names_in(annotation):
            annotation = _with_metadata(names_in(annotation)[str(step)])
    return annotation
