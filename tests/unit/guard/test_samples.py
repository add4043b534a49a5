from typing import Any

import pytest

from ogp.guard.base import View
from ogp.guard.normalise import Normaliser
from ogp.guard.samples import PYTHON, SAMPLES, sample_of
from ogp.guard.scanners import input_scanners
from ogp.settings.guard_schema import GuardSettings


def test_samples_differ_and_none_is_empty() -> None:
    assert len(set(SAMPLES)) == len(SAMPLES) >= 24
    assert all(text.strip() for text in SAMPLES)


def test_some_are_longer_than_a_window() -> None:
    assert max(len(text.split()) for text in SAMPLES) > 256


@pytest.mark.parametrize("kind", ["secrets", "invisible_text", "injection_rules"])
def test_scanners_without_models_hit_their_bad_sample_and_pass_the_good_one(kind: str) -> None:
    scanners = input_scanners(GuardSettings(), Normaliser())
    scanner = next(each for each in scanners if each.name == kind)
    sample = sample_of(kind, {})
    assert sample is not None
    assert scanner.scan(View(sample.bad)) is not None
    assert scanner.scan(View(str(sample.good))) is None


@pytest.mark.parametrize(
    ("kind", "parameters", "bad"),
    [
        ("ban_substrings", {"substrings": ("first", "second")}, "first"),
        ("code", {"languages": ("Python", "Go"), "blocked": True}, PYTHON),
        ("json", {"required_elements": 0}, '{"a": 1,}'),
        ("json", {"required_elements": 2}, '{"a": 1,}'),
        ("toxicity", {}, "stupid"),
    ],
)
def test_bad_samples_follow_from_the_parameters(
    kind: str, parameters: dict[str, Any], bad: str
) -> None:
    sample = sample_of(kind, parameters)
    assert sample is not None
    assert bad in sample.bad


def test_where_any_text_could_be_a_hit_there_is_no_good_sample() -> None:
    harmless = [
        sample_of("ban_substrings", {"substrings": ("e",)}),
        sample_of("json", {"required_elements": 2}),
        sample_of("json", {"required_elements": 1}),
        sample_of("gibberish", {}),
    ]
    assert [sample is not None and sample.good is None for sample in harmless] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("ban_substrings", {"substrings": ()}),
        ("code", {"languages": ("Go",), "blocked": True}),
        ("code", {"languages": ("Python",), "blocked": False}),
        ("ban_topics", {"topics": ("war",)}),
        ("custom", {}),
        ("regex", {}),
    ],
)
def test_where_nobody_can_know_there_is_no_sample(kind: str, parameters: dict[str, Any]) -> None:
    assert sample_of(kind, parameters) is None
