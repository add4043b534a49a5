"""What the schema refuses, said in sentences: no pydantic message reaches an operator."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ogp.settings.keys import Key, all_keys, describe, entry_annotation, is_network, names_in
from ogp.settings.layers import Given
from ogp.settings.problems import Problem
from ogp.settings.redact import shown_value
from ogp.settings.section import parse_networks, split_list
from ogp.settings.values import misread
from ogp.settings.yaml_file import YamlNode

Location = tuple[int | str, ...]


def problems_of(
    error: ValidationError, given: Mapping[str, Given]
) -> Mapping[str, tuple[Problem, ...]]:
    """Every mistake, by the canonical key whose value has to change."""
    found: dict[str, dict[Problem, None]] = {}
    for item in error.errors(include_url=False):
        name, inside = _split(item["loc"], str(item.get("ctx", {}).get("error", "")), given)
        problem = _problem(all_keys()[name], given.get(name), inside, item)
        found.setdefault(name, {})[problem] = None
    return {name: tuple(problems) for name, problems in found.items()}


def _split(location: Location, message: str, given: Mapping[str, Given]) -> tuple[str, Location]:
    """The key a location lies in, and the way from there into its value.

    The schema's checks over several keys have a section as location; their messages name the keys.
    """
    for length in range(len(location), 0, -1):
        name = ".".join(str(part) for part in location[:length])
        if name in all_keys():
            return name, location[length:]
    section = "".join(f"{part}." for part in location)
    words = [f"{section}{word.strip(',;:')}" for word in message.split()]
    named = [word for word in words if word in all_keys()]
    named += [name for name in all_keys() if name.startswith(section)]
    return next((name for name in named if name in given), named[0]), ()


def _problem(key: Key, given: Given | None, inside: Location, item: Any) -> Problem:
    source = "default" if given is None else given.source
    value = key.default if given is None else given.value
    node = None if given is None else given.node
    path = inside if key.item is not None or key.is_open else ()
    if node is not None and path:
        source = f"{source.rsplit(':', 1)[0]}:{node.at(path).line}"
    name = key.name + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    shown = shown_value(name, value if not path else item["input"])
    kind = item["type"]
    if kind == "missing":
        needed = describe(entry_annotation(key.annotation, path))
        return Problem(name, "", source, f"is missing; it must be {needed}")
    if kind == "extra_forbidden":
        known = ", ".join(names_in(entry_annotation(key.annotation, path[:-1])))
        return Problem(name, "", source, f"there is no such key here; the keys are {known}")
    if kind == "value_error":
        return Problem(name, shown, source, _own_words(key, value, item))
    return Problem(name, shown, source, _expected(key, path, node))


def _expected(key: Key, path: Location, node: YamlNode | None) -> str:
    wanted = entry_annotation(key.annotation, path)
    text_wanted = describe(wanted) == describe(str)
    hint = misread(node.at(path), text_wanted=text_wanted) if node is not None and path else ""
    return f"must be {describe(wanted)}{hint}"


def _own_words(key: Key, value: Any, item: Any) -> str:
    """Messages of the schema's own checks."""
    if key.item is None or not is_network(key.item):
        return str(item["ctx"]["error"])
    bad = [entry for entry in split_list(value) if not _is_network_text(entry)]
    return f"must be {key.right}; these are none: {shown_value(key.name, bad)}"


def _is_network_text(entry: Any) -> bool:
    try:
        parse_networks([entry])
    except ValueError:
        return False
    return True
