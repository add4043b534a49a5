"""Settings out of defaults, config.yaml, environment and flags; later ones win."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ogp.settings import checks
from ogp.settings.keys import all_keys
from ogp.settings.layers import Given, Layer, environment_layers, flag_layer, yaml_layer
from ogp.settings.problems import Problem, SettingsError
from ogp.settings.redact import shown_value
from ogp.settings.schema import Settings
from ogp.settings.wording import problems_of
from ogp.settings.yaml_file import read_file


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checked configuration and where each of its values comes from."""

    settings: Settings
    sources: Mapping[str, str]
    """Dotted key -> `default`, `config.yaml:12`, `environment OLLAMA_URL` or `--port`; all keys."""
    notices: tuple[str, ...] = ()
    """What was accepted but probably does not do what the writer hoped for."""


def load_settings(
    path: Path | None, *, environ: Mapping[str, str], flags: Mapping[str, Any]
) -> Loaded:
    """Read, merge and check.

    Args:
        path: the YAML file; None where there is none.
        environ: the environment, usually `os.environ`.
        flags: dotted key -> value, e.g. `{"server.port": 9000}`; None means not given.

    Raises:
        SettingsError: with every mistake that was found.
    """
    try:
        content = b"" if path is None else read_file(path)
    except SettingsError as error:
        rest = merge(Layer(problems=list(error.problems)), environ, flags)
        raise SettingsError(rest.problems) from error
    return load_content(content, str(path), environ=environ, flags=flags)


def load_content(
    content: bytes, file_name: str, *, environ: Mapping[str, str], flags: Mapping[str, Any]
) -> Loaded:
    """As `load_settings`, for a file that was read already; `file_name` is shown in messages.

    Raises:
        SettingsError: with every mistake that was found.
    """
    try:
        file_layer = yaml_layer(content, file_name, environ)
    except SettingsError as error:
        file_layer = Layer(problems=list(error.problems))
    merged = merge(file_layer, environ, flags)
    settings = _validated(merged)
    if settings is None or merged.problems:
        raise SettingsError(merged.problems)
    sources = {
        name: merged.given[name].source if name in merged.given else "default"
        for name in all_keys()
    }
    return Loaded(settings, sources, (*merged.notices, *checks.notices(settings)))


def merge(file_layer: Layer, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Layer:
    """The file's layer with environment and flags above it."""
    layers = (file_layer, *environment_layers(environ), flag_layer(flags))
    merged = Layer()
    for layer in layers:
        merged.given.update(layer.given)
        merged.problems.extend(layer.problems)
        merged.notices.extend(layer.notices)
    return merged


def _validated(merged: Layer) -> Settings | None:
    """The settings, with problems noted in `merged`; None if there is no telling.

    A key with a mistake is set back to its default and the rest checked again, as checks over
    several keys run only when each of them is well formed.
    """
    given = dict(merged.given)
    while True:
        try:
            settings = Settings.model_validate(_nested(given))
        except ValidationError as error:
            found = problems_of(error, given)
            for problems in found.values():
                merged.problems.extend(problems)
            if not any(name in given for name in found):
                return None
            for name in found:
                given.pop(name, None)
        else:
            _check(settings, merged, given)
            return settings


def _check(settings: Settings, merged: Layer, given: Mapping[str, Given]) -> None:
    for name, message in checks.mistakes(settings):
        blamed = given.get(name) or Given(all_keys()[name].default, name, "default")
        shown = shown_value(name, blamed.value)
        merged.problems.append(Problem(name, shown, blamed.source, message))


def _nested(given: Mapping[str, Given]) -> dict[str, Any]:
    """All keys, as every default belongs to its place and not to its section's class."""
    tree: dict[str, Any] = {}
    for name, key in all_keys().items():
        *sections, last = name.split(".")
        below = tree
        for section in sections:
            below = below.setdefault(section, {})
        below[last] = given[name].value if name in given else key.default
    return tree
