"""Which scanners are tried, and what is said of the others."""

from ogp.guard.canary_plan import NO_SAMPLE, Tried, canary_plan, tried_builtins
from ogp.guard.normalise import Normaliser
from ogp.guard.scanners import input_scanners, output_scanners
from ogp.settings.guard_schema import GuardSettings

SETTINGS = GuardSettings.model_validate(
    {
        "input_scanners": {
            "ban_substrings": {"substrings": ["blue heron"]},
            "regex": {"patterns": [{"name": "case", "pattern": "case-1"}]},
            "token_limit": {"enabled": True},
        }
    }
)


def test_scanners_with_samples_are_tried_and_reasons_given_for_the_others() -> None:
    scanners = input_scanners(SETTINGS, Normaliser())
    plan = canary_plan(tried_builtins(SETTINGS, "input", scanners))
    assert [canary.scanner.name for canary in plan.canaries] == [
        "ban_substrings",
        "invisible_text",
        "injection_rules",
        "secrets",
    ]
    assert plan.skipped == {
        "regex (input)": "the patterns are yours: no sample",
        "token_limit (input)": "judges by length: no sample",
    }


def test_phrases_are_those_of_the_direction() -> None:
    scanners = output_scanners(SETTINGS, Normaliser())
    (tried,) = tried_builtins(SETTINGS, "output", scanners)
    assert (tried.kind, tried.parameters) == ("invisible_text", {"substrings": ()})


def test_a_kind_counts_and_not_a_name() -> None:
    (scanner, *_) = output_scanners(SETTINGS, Normaliser())
    plan = canary_plan(
        [Tried("output", scanner, "toxicity"), Tried("output", scanner, "ban_topics")]
    )
    assert "idiot" in plan.canaries[0].sample.bad
    assert plan.skipped == {"invisible_text (output)": NO_SAMPLE}
