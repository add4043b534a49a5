from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ogp.guard import llmguard_scores as scores
from ogp.guard.model import Score

EN_DE = ({"label": "en", "score": 0.7}, {"label": "de", "score": 0.3})
DE_EN = ({"label": "en", "score": 0.1}, {"label": "de", "score": 0.9})


class Numbers:
    """Stands for a vector of numpy, or logits of torch."""

    def __init__(self, *values: float) -> None:
        self._values = values

    def tolist(self) -> list[float]:
        return list(self._values)

    def dot(self, other: "Numbers") -> float:
        return sum(a * b for a, b in zip(self._values, other._values, strict=True))


@pytest.mark.parametrize(
    ("read", "results", "parameters", "expected"),
    [
        (scores.one_of("BAD"), [[{"label": "BAD", "score": 0.8}]], {}, Score(0.8, "BAD")),
        (scores.one_of("BAD"), [[{"label": "GOOD", "score": 0.75}]], {}, Score(0.25, "GOOD")),
        (scores.one_of("BAD"), [], {}, Score(0.0)),
        (scores.any_of("de"), [[EN_DE, DE_EN]], {}, Score(0.9, "de")),
        (scores.any_of("fr"), [[EN_DE]], {}, Score(0.0)),
        (scores.foreign_language, [[EN_DE]], {"languages": ("en",)}, Score(0.3, "de")),
        (scores.foreign_language, [[EN_DE]], {"languages": ("en", "de")}, Score(0.0)),
        (scores.code, [[EN_DE]], {"languages": ("en",), "blocked": True}, Score(0.7, "en")),
        (scores.code, [[DE_EN]], {"languages": ("de",), "blocked": False}, Score(0.1, "de")),
        (scores.other_language, [[EN_DE, DE_EN]], {}, Score(0.7)),
        (scores.topic, [{"labels": ["a", "b"], "scores": [0.6, 0.4]}], {}, Score(0.6, "a")),
        (scores.nothing, [], {}, Score(0.0)),
    ],
)
def test_risk_is_read(
    read: scores.Read, results: Sequence[Any], parameters: Mapping[str, Any], expected: Score
) -> None:
    found = read(results, parameters)
    assert (found.label, found.value) == (expected.label, pytest.approx(expected.value))


def test_the_surest_competitor_on_the_list_counts() -> None:
    entities = [
        {"word": "Other", "score": 0.99, "entity_group": "ORG"},
        {"word": "acme corp", "score": 0.6, "entity_group": "ORG"},
        {"word": "Acme Corp", "score": 0.7, "entity_group": "ORG"},
    ]
    assert scores.competitor([entities], {"competitors": ("ACME Corp",)}) == Score(0.7, "ORG")


@pytest.mark.parametrize("name", ["acme corp", "AcmeCorp", "ACME  CORP"])
def test_names_are_found_in_any_case_and_spacing(name: str) -> None:
    assert name in scores.Names(["Acme Corp"])


def test_other_names_are_not_found() -> None:
    assert "Acme" not in scores.Names(["Acme Corp"])


@pytest.mark.parametrize(
    ("yes", "no", "expected", "label"),
    [
        (0.0, 0.0, 0.5, "entailment"),
        (2.0, 0.0, 0.1192029, "entailment"),
        (0.0, 2.0, 0.8807971, "not_entailment"),
        (5000.0, -5000.0, 0.0, "entailment"),
        (-5000.0, 5000.0, 1.0, "not_entailment"),
    ],
)
def test_entailment_is_the_first_class(yes: float, no: float, expected: float, label: str) -> None:
    found = scores.entailment([{"logits": [Numbers(yes, no)]}], {})
    assert (found.value, found.label) == (pytest.approx(expected), label)


@pytest.mark.parametrize(
    ("answer", "expected"), [((1.0, 0.0), 0.0), ((0.0, 1.0), 1.0), ((-1.0, 0.0), 1.0)]
)
def test_distance_is_at_most_one(answer: tuple[float, float], expected: float) -> None:
    assert scores.distance([Numbers(1.0, 0.0), Numbers(*answer)], {}) == Score(expected)


NAN = float("nan")


@pytest.mark.parametrize(
    ("read", "results"),
    [
        (scores.one_of("BAD"), [[{"label": "BAD", "score": NAN}]]),
        (scores.any_of("fr"), [[[{"label": "en", "score": NAN}]]]),
        (scores.topic, [{"labels": ["a", "b"], "scores": [0.1, NAN]}]),
        (scores.entailment, [{"logits": [Numbers(NAN, 0.0)]}]),
        (scores.distance, [Numbers(NAN), Numbers(1.0)]),
    ],
)
def test_what_is_no_number_is_an_error_and_not_a_pass(
    read: scores.Read, results: Sequence[Any]
) -> None:
    with pytest.raises(ValueError, match="no number"):
        read(results, {})
