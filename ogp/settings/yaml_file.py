"""config.yaml as a tree that remembers lines, with what YAML 1.1 quietly changes made visible."""

import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from ogp.settings.problems import Problem, SettingsError

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
"""The YAML library recurses in C and would end the process on deeply nested input."""
MAX_NODES = 100_000
"""Counted with aliases expanded, so that a few lines cannot stand for billions of values."""

TAG = "tag:yaml.org,2002:"
PLAIN_TAGS = frozenset(TAG + name for name in ("null", "bool", "int", "float", "str"))
DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)(\.[0-9_]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9_]+")
SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class YamlNode:
    """One value of the file."""

    line: int
    """Where the value begins, counted from 1."""
    value: Any
    """Plain Python: dict, list, str, bool, int, float or None."""
    text: str | None = None
    """As written, for a scalar that is not text to YAML (`on`, `010`, `8080`); else None."""
    trap: str = ""
    """Why the value is surely not what was meant; empty otherwise."""
    entries: tuple[tuple[str, "YamlNode"], ...] = ()
    """Key and value of each line of a mapping, without duplicates."""
    items: tuple["YamlNode", ...] = ()
    """The elements of a list."""
    key_line: int = 0
    """Where its key stands; 0 for what has none."""

    @property
    def is_mapping(self) -> bool:
        """Whether it holds `key: value` lines."""
        return isinstance(self.value, dict)

    @property
    def written(self) -> Any:
        """The value in the words of the file: `010` rather than 8, also inside lists."""
        if self.items:
            return [item.written for item in self.items]
        return self.value if self.text is None else self.text

    def at(self, path: Sequence[int | str]) -> "YamlNode":
        """The node below this one that `path` leads to; the last one that exists on the way."""
        if not path:
            return self
        below: YamlNode | None = None
        if isinstance(path[0], int) and path[0] < len(self.items):
            below = self.items[path[0]]
        elif self.is_mapping:
            below = dict(self.entries).get(str(path[0]))
        return self if below is None else below.at(path[1:])

    def walk(self) -> Iterator["YamlNode"]:
        """The node itself and everything below it."""
        yield self
        for child in (*(node for _, node in self.entries), *self.items):
            yield from child.walk()


@dataclass(slots=True)
class _Reader:
    """Turns library nodes into ours; lives for one file."""

    loader: Any
    name: str
    problems: list[Problem] = field(default_factory=list)
    nodes_left: int = MAX_NODES

    def convert(self, node: yaml.Node, depth: int = 0) -> YamlNode:
        """One node and all below it."""
        line = node.start_mark.line + 1
        self.nodes_left -= 1
        if depth > MAX_DEPTH or self.nodes_left < 0:
            raise _refusal(
                self.name, line, f"holds more than {MAX_NODES} values, or aliases without end"
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, line, depth)
        if isinstance(node, yaml.SequenceNode):
            items = tuple(self.convert(item, depth + 1) for item in node.value)
            return YamlNode(line, [item.value for item in items], items=items)
        return self._scalar(node, line)

    def _mapping(self, node: yaml.MappingNode, line: int, depth: int) -> YamlNode:
        own: dict[str, YamlNode] = {}
        merged: dict[str, YamlNode] = {}
        for key, value in node.value:
            place = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise _refusal(self.name, place, "holds a key that is not a plain name")
            below = self.convert(value, depth + 1)
            if key.tag == TAG + "merge":
                for name, inherited in self._merged(below):
                    merged.setdefault(name, inherited)
            elif key.value in own:
                message = f"this key already stands in line {own[key.value].key_line}; keep one"
                self.problems.append(Problem(key.value, "", f"{self.name}:{place}", message))
            else:
                own[key.value] = replace(below, key_line=place)
        entries = merged | own
        plain = {name: below.value for name, below in entries.items()}
        return YamlNode(line, plain, entries=tuple(entries.items()))

    def _merged(self, source: YamlNode) -> Iterator[tuple[str, YamlNode]]:
        """Entries that `<<` brings in; of several sources the first wins."""
        for node in source.items or (source,):
            if not node.is_mapping:
                raise _refusal(self.name, node.line, "has a `<<` that names no mapping")
            yield from node.entries

    def _scalar(self, node: yaml.Node, line: int) -> YamlNode:
        text = str(node.value)
        if node.tag == TAG + "str":
            return YamlNode(line, text)
        if node.tag not in PLAIN_TAGS:
            kind = str(node.tag).removeprefix(TAG).removeprefix("timestamp") or "a date"
            trap = f"YAML reads this as {kind}; if it is text, put it in quotes"
            return YamlNode(line, text, text=text, trap=trap)
        try:
            value = self.loader.construct_object(node)
        except (ValueError, OverflowError, yaml.YAMLError):
            return YamlNode(line, text, text=text, trap="YAML cannot read this as a number")
        return YamlNode(line, value, text=text, trap=_number_trap(value, text))


def _number_trap(value: Any, text: str) -> str:
    """YAML 1.1 reads 010 as 8, 12:30 as 750, 0x10 as 16: never what a configuration means."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    if DECIMAL.fullmatch(text) or SPECIAL_FLOAT.fullmatch(text):
        return ""
    return f"YAML reads {text} as {value}; write a decimal number, or put text in quotes"


def _refusal(name: str, line: int, what: str) -> SettingsError:
    return SettingsError([Problem(name, "", f"{name}:{line}", what)])


def read_file(path: Path) -> bytes:
    """The file's bytes.

    Raises:
        SettingsError: missing, unreadable, no regular file, or larger than 1 MiB.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a directory" if path.is_dir() else "no regular file"
            raise SettingsError([Problem(str(path), "", "file", f"is {kind}; name a YAML file")])
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"cannot be read: {error.strerror or 'unknown error'}"
        raise SettingsError([Problem(str(path), "", "file", message)]) from error
    if len(content) > MAX_BYTES:
        message = f"is larger than {MAX_BYTES} bytes"
        raise SettingsError([Problem(str(path), "", "file", message)])
    return content


def parse_yaml(content: bytes, name: str) -> tuple[YamlNode | None, tuple[Problem, ...]]:
    """The top mapping of the file, None when it is empty, and keys that stand twice.

    Args:
        content: the file's bytes.
        name: what messages call the file.

    Raises:
        SettingsError: no UTF-8, no YAML, or not a mapping at the top.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refusal(name, line, "is not UTF-8 text; save the file as UTF-8") from None
    try:
        _check_depth(text, name)
        loader = yaml.CSafeLoader(text)
        top = loader.get_single_node()
    except yaml.YAMLError as error:
        raise _refusal(name, *_reason(error, text)) from None
    if top is None:
        return None, ()
    reader = _Reader(loader, name)
    node = reader.convert(top)
    if node.value is None:
        return None, ()
    if not node.is_mapping:
        kind = "a list" if node.items or node.value == [] else "a single value"
        raise _refusal(name, node.line, f"must hold lines of the form `key: value`, not {kind}")
    return node, tuple(reader.problems)


def _check_depth(text: str, name: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            mark: Any = event.start_mark  # never None where text was parsed
            raise _refusal(name, mark.line + 1, f"is nested deeper than {MAX_DEPTH} levels")


def _reason(error: yaml.YAMLError, text: str) -> tuple[int, str]:
    """Line and sentence. The library's own snippet is left out: it may show a secret."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        return line, "is no YAML: it holds a control character"
    mark, lines = error.problem_mark, text.splitlines()
    written = lines[mark.line] if mark.line < len(lines) else ""
    if "\t" in written[: mark.column + 1]:
        return mark.line + 1, "is no YAML: a tab stands where YAML wants spaces"
    parts = [part for part in (error.context, error.problem) if part]
    return mark.line + 1, f"is no YAML: {', '.join(parts)}"
