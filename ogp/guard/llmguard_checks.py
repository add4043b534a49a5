"""Parameters of llm-guard's scanners, and the labels of their models, judged before use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

MAX_WORDS = 100
MAX_WORD_CHARS = 100


@dataclass(frozen=True, slots=True)
class Parameter:
    """One setting of a scanner beside its threshold."""

    kind: Literal["words", "flag", "count", "minutes", "share"]
    default: Any = None
    """None: it must be given."""
    known: frozenset[str] = frozenset()
    """The only words allowed; empty allows all."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What `id2label` of a model must be; wrong names turn verdicts round without an error."""

    needed: tuple[str, ...] = ()
    count: int = 0
    """Exact number of classes, where llm-guard takes the rest of one class for the other."""
    first: str = ""
    """The class with number 0, where llm-guard goes by numbers."""
    prefix: str = ""
    """Exactly one label begins with it, in any case."""
    words: str = ""
    """The parameter whose words must all be labels."""


def filled(
    name: str, known: Mapping[str, Parameter], given: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The given parameters and the defaults of the others.

    Raises:
        ValueError: names the scanner, the parameter and what would be right.
    """
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"{name}: there is no parameter {unknown[0]!r}")
    return {
        key: _checked(name, key, parameter, given.get(key, parameter.default))
        for key, parameter in known.items()
    }


def label_fault(
    rule: Labels, id2label: Mapping[int, str], parameters: Mapping[str, Any]
) -> str | None:
    """What is wrong with the classes of a model, or None."""
    labels = set(id2label.values())
    if any(label.startswith("LABEL_") for label in labels) or len(labels) < 2:
        return "labels without meaning"
    if missing := sorted(set(rule.needed) - labels):
        return f"no label {missing[0]!r}"
    if rule.count and len(id2label) != rule.count:
        return f"{len(id2label)} labels instead of {rule.count}"
    if rule.first and id2label.get(0) != rule.first:
        return f"label 0 is not {rule.first!r}"
    if rule.prefix and sum(label.lower().startswith(rule.prefix) for label in labels) != 1:
        return f"not one label that begins with {rule.prefix!r}"
    if rule.words and (unknown := sorted(set(parameters[rule.words]) - labels)):
        return f"no label {unknown[0]!r}, named by {rule.words}"
    return None


def _checked(name: str, key: str, parameter: Parameter, value: Any) -> Any:
    right, wanted = _RULES[parameter.kind]
    if not right(value):
        raise ValueError(f"{name}: {key} must be {wanted}")
    if parameter.kind != "words":
        return value
    if parameter.known and (strange := sorted(set(value) - parameter.known)):
        raise ValueError(f"{name}: {key} must not name {strange[0]!r}; see docs/guard.md")
    return tuple(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _are_words(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and 0 < len(value) <= MAX_WORDS
        and all(isinstance(word, str) and len(word.strip()) > 0 for word in value)
        and all(len(word) <= MAX_WORD_CHARS for word in value)
    )


_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "words": (_are_words, f"a list of 1 to {MAX_WORDS} words of 1 to {MAX_WORD_CHARS} characters"),
    "flag": (lambda value: isinstance(value, bool), "true or false"),
    "count": (
        lambda value: _is_number(value) and isinstance(value, int) and 0 <= value <= 1000,
        "a whole number from 0 to 1000",
    ),
    "share": (lambda value: _is_number(value) and 0 < value < 1, "between 0 and 1, both excluded"),
    "minutes": (
        lambda value: _is_number(value) and 0 < value <= 10_000,
        "minutes, more than 0, at most 10000",
    ),
}
