"""The three places settings come from: config.yaml, the environment, flags."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ogp.settings.keys import Key, all_keys
from ogp.settings.names import LONG_PREFIX, Name, NameKind, look_up, look_up_variable
from ogp.settings.problems import Problem, SettingsError
from ogp.settings.redact import shown_value
from ogp.settings.section import split_list
from ogp.settings.values import from_text, from_yaml
from ogp.settings.yaml_file import YamlNode, parse_yaml

ENVIRONMENTS = ("development", "test", "production")
SHARED_ANCHORS = "default"
"""Top-level key beside the environments that only holds what they merge with `<<`."""
FLAGS = {
    "server.host": "--host",
    "server.port": "--port",
    "server.workers": "--workers",
    "server.concurrency": "--concurrency",
    "logging.level": "--log-level",
    "data_dir": "--data-dir",
}


@dataclass(frozen=True, slots=True)
class Given:
    """A value that somebody wrote down for a key."""

    value: Any
    written: str
    """The name that was used, e.g. `proxy_port`."""
    source: str
    node: YamlNode | None = None
    """Where in config.yaml it stands."""


@dataclass(slots=True)
class Layer:
    """Everything one place says, old names resolved; mistakes are gathered, not raised."""

    given: dict[str, Given] = field(default_factory=dict)
    """By canonical key."""
    problems: list[Problem] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def add(self, name: Name, given: Given) -> None:
        """Take in one value under the name it was found by."""
        match name.kind:
            case NameKind.KEY:
                for target in (name.target, *name.further):
                    self._keep(all_keys()[target], given)
            case NameKind.SECTION:
                message = f"must hold further keys, e.g. {_example(name.target)}"
                self.complain(given, message, show=False)
            case NameKind.LATER:
                self.notices.append(f"{given.written}: known, not built yet, has no effect")
            case NameKind.NO_EFFECT:
                self.notices.append(f"{given.written}: has no effect; {name.reason}")
            case NameKind.ONE_VALUE if given.value == name.target:
                self.notices.append(f"{given.written}: has no effect; {name.reason}")
            case NameKind.ONE_VALUE:
                self.complain(given, f"can only be {name.target}: {name.reason}")
            case _:
                self.complain(given, name.reason, show=False)

    def complain(self, given: Given, message: str, *, key: str = "", show: bool = True) -> None:
        """Note a mistake. Values of names that are no keys are not shown: they may be secrets."""
        written = given.value if given.node is None else given.node.written
        value = shown_value(given.written, written) if show else ""
        self.problems.append(Problem(key or given.written, value, given.source, message))

    def _keep(self, key: Key, given: Given) -> None:
        try:
            if given.node is not None:
                value = from_yaml(key, given.node)
            else:
                value = from_text(key, given.value) if isinstance(given.value, str) else given.value
        except ValueError as error:
            self.complain(given, str(error), key=key.name)
            return
        kept = Given(value, given.written, given.source, given.node)
        earlier = self.given.setdefault(key.name, kept)
        if _comparable(earlier.value) != _comparable(value):
            self.complain(kept, _conflict(earlier, kept), key=key.name)


def _comparable(value: Any) -> list[str]:
    """The same for `300`, `300.0` and `"300"`, and for `[a, b]` and `"a, b"`."""
    items = split_list(value)
    return [_word(item) for item in (items if isinstance(items, list | tuple) else [items])]


def _word(item: Any) -> str:
    try:
        return str(float(item))
    except (TypeError, ValueError, OverflowError):
        return str(item)


def _conflict(earlier: Given, later: Given) -> str:
    shown = shown_value(earlier.written, earlier.value)
    return (
        f"{later.written} says this, but {earlier.written} = {shown} ({earlier.source}) sets "
        "the same key; keep one of them"
    )


def _example(section: str) -> str:
    return next(name for name in all_keys() if name.startswith(f"{section}."))


def flag_layer(flags: Mapping[str, Any]) -> Layer:
    """Flags by dotted key; None means not given."""
    layer = Layer()
    for name, value in flags.items():
        if value is not None:
            written = FLAGS.get(name, f"--{name}")
            layer.add(look_up(name), Given(value, written, written))
    return layer


def environment_layers(environ: Mapping[str, str]) -> tuple[Layer, Layer]:
    """Variables with a meaning here; empty ones count as unset.

    Returns:
        Short names such as PROXY_PORT, and above them `OGP__SECTION__KEY`: start scripts use the
        long form for their flags, which win over what the shell happens to hold.
    """
    short, long = Layer(), Layer()
    for variable in sorted(environ):
        text = environ[variable].strip()
        name = look_up_variable(variable) if text else None
        if name is not None:
            layer = long if variable.upper().startswith(LONG_PREFIX) else short
            layer.add(name, Given(text, variable, f"environment {variable}"))
    return short, long


def yaml_layer(content: bytes, file_name: str, environ: Mapping[str, str]) -> Layer:
    """What the file says; `OGP_ENV` chooses where it has development, test or production on top.

    Raises:
        SettingsError: the file cannot be read as a mapping at all.
    """
    layer = Layer()
    top, duplicates = parse_yaml(content, file_name)
    layer.problems.extend(duplicates)
    if top is not None:
        chosen = _chosen(top, file_name, environ, layer)
        _walk(chosen, file_name, layer, ("", ""))
    return layer


def environment_name(environ: Mapping[str, str]) -> str:
    """`OGP_ENV`, by default production.

    Raises:
        SettingsError: it is none of the three.
    """
    chosen = environ.get("OGP_ENV", "").strip() or "production"
    if chosen not in ENVIRONMENTS:
        message = f"must be one of {', '.join(ENVIRONMENTS)}"
        source = "environment OGP_ENV"
        raise SettingsError([Problem("OGP_ENV", shown_value("", chosen), source, message)])
    return chosen


def _chosen(
    top: YamlNode, file_name: str, environ: Mapping[str, str], layer: Layer
) -> YamlNode | None:
    """The part of the file that counts."""
    entries = dict(top.entries)
    present = [name for name in ENVIRONMENTS if name in entries]
    if not present:
        return top
    try:
        chosen = environment_name(environ)
    except SettingsError as error:
        layer.problems.extend(error.problems)
        return None
    for name, node in top.entries:
        if name not in (*ENVIRONMENTS, SHARED_ANCHORS):
            given = Given(node.value, name, f"{file_name}:{node.key_line}")
            message = f"stands beside {present[0]}; move it into development, test or production"
            layer.complain(given, message, show=False)
    if chosen not in entries:
        layer.notices.append(
            f"{file_name} has no section {chosen}, only {', '.join(present)}: nothing of it is "
            "used; OGP_ENV chooses"
        )
        return None
    return entries[chosen]


def _walk(node: YamlNode | None, file_name: str, layer: Layer, prefixes: tuple[str, str]) -> None:
    """Add everything below a section; `prefixes` are its name as written and the canonical one."""
    if node is None or node.value is None:
        return
    written_prefix, prefix = prefixes
    if not node.is_mapping:
        given = Given(node.value, written_prefix.rstrip("."), f"{file_name}:{node.line}", node)
        layer.complain(given, "must hold further keys of the form `key: value`", show=False)
        return
    for name, below in node.entries:
        written = f"{written_prefix}{name}"
        found = look_up(f"{prefix}{name}", holds_keys=below.is_mapping)
        if found.kind is NameKind.SECTION and (below.is_mapping or below.value is None):
            _walk(below, file_name, layer, (f"{written}.", f"{found.target}."))
        else:
            source = f"{file_name}:{below.key_line}"
            layer.add(found, Given(below.value, written, source, below))
