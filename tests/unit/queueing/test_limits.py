"""Which limits the configuration gives a model."""

from time import perf_counter
from typing import Any

import pytest

from ogp.core.slots import SlotLimits
from ogp.queueing.limits import ConfiguredLimits, ModelPattern
from ogp.settings.queue_schema import QueueSettings


def limits(*models: dict[str, Any], **settings: Any) -> ConfiguredLimits:
    return ConfiguredLimits(QueueSettings(models=models, max_queue=512, **settings), parallel=4)


@pytest.mark.parametrize(
    ("pattern", "model", "meant"),
    [
        ("llama3", "llama3", True),
        ("llama3:latest", "llama3", True),
        ("library/llama3", "llama3", True),
        ("LLaMA3*", "llama3.2:1b", True),
        ("llama3", "llama3.2", False),
        ("llama3:8b", "llama3:8b", True),
        ("llama3:8b", "llama3", False),
        ("*:8b", "llama3:8b", True),
        ("*:latest", "llama3", True),
        ("*:latest", "llama3:8b", False),
        ("*:latest", "host:5000/user/llama3", True),
        ("llama?", "llama3", True),
        ("llama?", "llama", False),
        ("*", "anything/at:all", True),
        ("[lm]*", "llama3", False),
        ("x[1]", "x[1]", True),
        ("a.c", "abc", False),
    ],
)
def test_a_pattern_means_names_as_a_person_reads_it(pattern: str, model: str, meant: bool) -> None:
    assert ModelPattern(pattern).matches(model) is meant


def test_a_pattern_of_many_stars_takes_no_longer_than_its_length_says() -> None:
    pattern = ModelPattern("*a" * 60 + "b")
    started = perf_counter()
    assert not pattern.matches("a" * 256)
    assert perf_counter() - started < 1.0


def test_a_model_without_an_entry_has_the_defaults() -> None:
    assert limits().of("llama3") == SlotLimits(4, 512, None)


def test_the_first_entry_that_matches_holds() -> None:
    configured = limits(
        {"match": "llama3*", "parallel": 2, "max_queue": 8}, {"match": "*", "parallel": 1}
    )
    assert configured.of("llama3.2") == SlotLimits(2, 8)
    assert configured.of("qwen3") == SlotLimits(1, 512)


def test_what_an_entry_leaves_out_is_the_default() -> None:
    assert limits({"match": "a", "max_queue": 0}).of("a") == SlotLimits(4, 0)


def test_the_cap_per_user_holds_for_every_model() -> None:
    configured = limits({"match": "a", "parallel": 1}, max_queue_per_user=3)
    assert configured.of("a").max_per_user == configured.of("b").max_per_user == 3


def test_only_an_entry_with_a_number_fixes_it() -> None:
    configured = limits({"match": "a", "parallel": 1}, {"match": "b", "max_queue": 1})
    assert [configured.fixes_parallel(name) for name in "abc"] == [True, False, False]
