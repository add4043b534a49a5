"""What a name in config.yaml or the environment stands for."""

import difflib
from dataclasses import dataclass
from enum import StrEnum

from ogp.settings import aliases
from ogp.settings.keys import all_keys, all_sections

LONG_PREFIX = "OGP__"
"""Of variables that name a key in full, e.g. `OGP__SERVER__PORT`; in any case."""


class NameKind(StrEnum):
    """What may be done with a name."""

    KEY = "key"
    SECTION = "section"
    LATER = "later"
    NO_EFFECT = "no_effect"
    ONE_VALUE = "one_value"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Name:
    """A name that was looked up."""

    kind: NameKind
    target: str = ""
    """Canonical key or section; for ONE_VALUE the one value."""
    reason: str = ""
    """For NO_EFFECT, ONE_VALUE, REFUSED and UNKNOWN: the rest of the sentence."""
    further: tuple[str, ...] = ()
    """Other canonical keys that get the same value."""


def look_up(name: str, *, holds_keys: bool = False) -> Name:
    """Find a dotted name, old spellings included.

    Args:
        name: e.g. `server.port`, `proxy_port`.
        holds_keys: further keys stand below it; tells the section `concurrency` from the number.
    """
    if holds_keys and name in aliases.MOVED_SECTIONS:
        return Name(NameKind.SECTION, aliases.MOVED_SECTIONS[name])
    if name in all_keys():
        return Name(NameKind.KEY, name)
    if name in aliases.RENAMED:
        return Name(NameKind.KEY, aliases.RENAMED[name])
    if name in all_sections() or name in aliases.MOVED_SECTIONS:
        return Name(NameKind.SECTION, aliases.MOVED_SECTIONS.get(name, name))
    return _without_target(name)


def _without_target(name: str) -> Name:
    if any(name == later or name.startswith(f"{later}.") for later in aliases.LATER):
        return Name(NameKind.LATER)
    if name in aliases.NO_EFFECT:
        return Name(NameKind.NO_EFFECT, reason=aliases.NO_EFFECT[name])
    if name in aliases.ONE_VALUE:
        value, reason = aliases.ONE_VALUE[name]
        return Name(NameKind.ONE_VALUE, value, reason)
    if name in aliases.REFUSED:
        return Name(NameKind.REFUSED, reason=aliases.REFUSED[name])
    return Name(NameKind.UNKNOWN, reason=f"there is no such key{suggestion(name)}")


def look_up_variable(variable: str) -> Name | None:
    """Find an environment variable; None for the many that are none of ours."""
    if variable.upper().startswith(LONG_PREFIX):
        return look_up(variable[len(LONG_PREFIX) :].lower().replace("__", "."))
    if variable in aliases.ENVIRONMENT:
        return Name(NameKind.KEY, aliases.ENVIRONMENT[variable])
    if variable in aliases.ENVIRONMENT_OF_TWO:
        first, *further = aliases.ENVIRONMENT_OF_TWO[variable]
        return Name(NameKind.KEY, first, further=tuple(further))
    if variable in aliases.LATER_ENVIRONMENT:
        return Name(NameKind.LATER)
    if variable in aliases.NO_EFFECT_ENVIRONMENT:
        return Name(NameKind.NO_EFFECT, reason=aliases.NO_EFFECT_ENVIRONMENT[variable])
    if variable in aliases.REFUSED_ENVIRONMENT:
        return Name(NameKind.REFUSED, reason=aliases.REFUSED_ENVIRONMENT[variable])
    return look_up("ollama_path") if variable == "OLLAMA_PATH" else None


def suggestion(name: str) -> str:
    """`; did you mean server.port?`, from every section and every old name, or nothing."""
    known = {key: key for key in all_keys()} | dict(aliases.RENAMED)
    last = name.rsplit(".", 1)[-1]
    by_last = [key for key in all_keys() if key.rsplit(".", 1)[-1] == last]
    whole = [known[spelling] for spelling in difflib.get_close_matches(name, known, 1, 0.75)]
    options = (by_last or whole or _similar_last(last))[:2]
    return f"; did you mean {' or '.join(options)}?" if options else ""


def _similar_last(last: str) -> list[str]:
    lasts = {key.rsplit(".", 1)[-1]: None for key in all_keys()}
    close = difflib.get_close_matches(last, lasts, 1, 0.75)
    return [key for key in all_keys() if key.rsplit(".", 1)[-1] in close]
