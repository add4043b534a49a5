from typing import Any

import pytest

from ogp.guard.llmguard_checks import MAX_WORDS, Labels, Parameter, filled, label_fault

KNOWN = {
    "topics": Parameter("words"),
    "blocked": Parameter("flag", default=True),
    "least": Parameter("count", default=0),
    "minutes": Parameter("minutes", default=1),
    "share": Parameter("share", default=0.5),
    "languages": Parameter("words", default=("Go",), known=frozenset({"Go", "C"})),
}


def test_defaults_are_filled_in() -> None:
    assert filled("x", KNOWN, {"topics": ["war"]}) == {
        "topics": ("war",),
        "blocked": True,
        "least": 0,
        "minutes": 1,
        "share": 0.5,
        "languages": ("Go",),
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("topics", None),
        ("topics", []),
        ("topics", "war"),
        ("topics", [" "]),
        ("topics", [1]),
        ("topics", ["w" * 101]),
        ("topics", ["w"] * (MAX_WORDS + 1)),
        ("blocked", 1),
        ("least", -1),
        ("least", 1.5),
        ("least", True),
        ("least", 1001),
        ("minutes", 0),
        ("minutes", float("nan")),
        ("minutes", "1"),
        ("share", 0),
        ("share", 1),
        ("share", float("nan")),
    ],
)
def test_wrong_value_is_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"x: {key} must be"):
        filled("x", KNOWN, {"topics": ["war"], key: value})


def test_word_that_is_not_known_is_named() -> None:
    with pytest.raises(ValueError, match="languages must not name 'Latin'"):
        filled("x", KNOWN, {"topics": ["war"], "languages": ["Go", "Latin"]})


def test_parameter_that_is_not_known_is_named() -> None:
    with pytest.raises(ValueError, match="x: there is no parameter 'colour'"):
        filled("x", KNOWN, {"topics": ["war"], "colour": 1})


@pytest.mark.parametrize(
    ("rule", "labels", "fault"),
    [
        (Labels(), ("A", "B"), None),
        (Labels(), ("A",), "labels without meaning"),
        (Labels(), ("A", "LABEL_1"), "labels without meaning"),
        (Labels(("A",)), ("B", "C"), "no label 'A'"),
        (Labels(("A",), 2), ("A", "B"), None),
        (Labels(("A",), 2), ("A", "B", "C"), "3 labels instead of 2"),
        (Labels(first="A"), ("A", "B"), None),
        (Labels(first="A"), ("B", "A"), "label 0 is not 'A'"),
        (Labels(prefix="entail"), ("ENTAILMENT", "neutral"), None),
        (Labels(prefix="entail"), ("yes", "no"), "not one label that begins with 'entail'"),
        (Labels(prefix="a"), ("a1", "a2"), "not one label that begins with 'a'"),
        (Labels(words="languages"), ("en", "de", "fr"), None),
        (Labels(words="languages"), ("en", "fr"), "no label 'de', named by languages"),
    ],
)
def test_labels_are_judged(rule: Labels, labels: tuple[str, ...], fault: str | None) -> None:
    assert label_fault(rule, dict(enumerate(labels)), {"languages": ("en", "de")}) == fault
