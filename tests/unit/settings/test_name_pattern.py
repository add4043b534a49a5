import time

import pytest

from ogp.settings.name_pattern import NamePattern, is_pattern


@pytest.mark.parametrize(
    ("pattern", "model"),
    [
        (".*-7b.*", "llama2-7b-chat"),
        ("*-7b*", "llama2-7b"),
        ("^.*-8x7b.*$", "mixtral-8x7b:q4"),
        ("llama3\\.1*", "llama3.1:70b"),
        ("LLAMA?", "llama3"),
        ("library/llama3", "llama3"),
        ("llama3:latest", "llama3"),
        ("user/*", "user/own"),
    ],
)
def test_names_that_are_meant(pattern: str, model: str) -> None:
    assert NamePattern(pattern).matches(model)


@pytest.mark.parametrize(
    ("pattern", "model"),
    [("*-7b", "llama2-70b"), ("llama3", "llama31"), ("llama3.1", "llama3x1"), ("a:b", "a")],
)
def test_names_that_are_not(pattern: str, model: str) -> None:
    assert not NamePattern(pattern).matches(model)


@pytest.mark.parametrize("pattern", ["a|b", "(a+)+", "[ab]", "a{2}", "a\\d", "a+", " ", "a" * 201])
def test_other_expressions_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"may hold|must have"):
        NamePattern(pattern)


def test_no_pattern_takes_long() -> None:
    pattern = NamePattern("*a" * 90 + "b")
    started = time.perf_counter()
    assert not pattern.matches("a" * 300)
    assert time.perf_counter() - started < 1.0


def test_exact_names_and_patterns_are_told_apart() -> None:
    assert not is_pattern("llama3.1:8b")
    assert is_pattern("llama*")
    assert is_pattern("llama?")
