from pathlib import Path
from typing import Any

import pytest

from ogp.guard.llmguard_scanners import LANGUAGES, SCANNERS, checked
from ogp.guard.offline import go_offline

GIVEN: dict[str, dict[str, Any]] = {
    "ban_topics": {"topics": ["war"]},
    "language": {"languages": ["en"]},
    "code": {"languages": ["Go"]},
    "ban_competitors": {"competitors": ["Acme"]},
    "reading_time": {"max_minutes": 2},
}


@pytest.fixture(autouse=True)
def _offline() -> None:
    """Some tests import llm_guard themselves."""
    go_offline(Path("models"))


def test_programming_languages_are_those_of_llm_guard() -> None:
    from llm_guard.input_scanners.code import SUPPORTED_LANGUAGES

    assert frozenset(SUPPORTED_LANGUAGES) == LANGUAGES


@pytest.mark.parametrize("name", SCANNERS)
def test_defaults_are_enough_beside_what_must_be_given(name: str) -> None:
    spec = SCANNERS[name]
    filled = checked(spec, spec.directions[-1], GIVEN.get(name, {}))
    assert filled["threshold"] == spec.thresholds[1]


@pytest.mark.parametrize("name", GIVEN)
def test_what_must_be_given_is_missed(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: "):
        checked(SCANNERS[name], "output", {})


def test_thresholds_of_the_directions_differ() -> None:
    both = [checked(SCANNERS["ban_code"], way, {})["threshold"] for way in ("input", "output")]
    assert both == [0.97, 0.9]


def test_scanner_is_refused_for_the_wrong_direction() -> None:
    with pytest.raises(ValueError, match="bias: scans output only"):
        checked(SCANNERS["bias"], "input", {})


@pytest.mark.parametrize("name", ["factual_consistency", "relevance", "language_same"])
def test_least_agreement_is_the_rest_of_the_risk(name: str) -> None:
    (value,) = SCANNERS[name].arguments({"threshold": 0.2}).values()
    assert value == 0.8


def test_allowed_languages_of_code_count_from_the_other_end() -> None:
    parameters = {"languages": ("Go",), "blocked": False, "threshold": 0.25}
    assert SCANNERS["code"].arguments(parameters)["threshold"] == 0.75


def test_no_scanner_pads_or_shows_more_than_the_stock_settings() -> None:
    settings = [dict(spec.pipeline or {}) for spec in SCANNERS.values()]
    assert all("padding" not in setting for setting in settings)
    assert {name for name, spec in SCANNERS.items() if spec.max_length == 128} == {
        "ban_code",
        "malicious_urls",
        "no_refusal",
    }


def test_scanners_without_weights_are_known() -> None:
    assert {name for name, spec in SCANNERS.items() if not spec.weights} == {
        "no_refusal_light",
        "json",
        "reading_time",
    }
