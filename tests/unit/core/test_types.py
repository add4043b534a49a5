import pytest

from ogp.core.details import details_of
from ogp.core.types import GuardState, ScannerResult, Verdict, canonical_model


def test_latest_tag_and_no_tag_name_the_same_model() -> None:
    assert canonical_model("llama2:latest") == canonical_model("llama2") == "llama2"


def test_other_tags_stay() -> None:
    assert canonical_model("hf.co/user/model:q4_k_m") == "hf.co/user/model:q4_k_m"
    assert canonical_model("latest") == "latest"


@pytest.mark.parametrize(
    "name",
    ["Llama2", "LLAMA2:LATEST", "library/llama2", "registry.ollama.ai/library/llama2:latest"],
)
def test_no_other_spelling_is_another_model(name: str) -> None:
    assert canonical_model(name) == "llama2"


def test_verdict_summary_names_the_scanners_that_failed() -> None:
    verdict = Verdict(
        GuardState.BLOCKED,
        (ScannerResult("secrets", passed=True), ScannerResult("ban_substrings", passed=False)),
    )
    assert verdict.summary() == "blocked:ban_substrings"


def test_a_remembered_verdict_says_so_behind_its_state() -> None:
    flagged = ScannerResult("injection_rules", passed=True, score=1.0, reason="override")
    verdict = Verdict(GuardState.CLEAN, (flagged,), ("images",), cached=True)
    assert verdict.summary() == "clean;cached;flagged:injection_rules;unscanned:images"
    blocked = Verdict(GuardState.BLOCKED, (ScannerResult("a", passed=False),), cached=True)
    assert blocked.summary() == "blocked:a;cached"


def test_clean_verdict_has_a_bare_summary() -> None:
    verdict = Verdict(GuardState.CLEAN, (ScannerResult("secrets", passed=True),))
    assert verdict.summary() == "clean"
    assert verdict.failed == ()


@pytest.mark.parametrize("state", [GuardState.OFF, GuardState.NOT_SCANNED])
def test_where_no_scanner_looked_there_are_no_details(state: GuardState) -> None:
    assert details_of(Verdict(state, unscanned=("images",))) is None


@pytest.mark.parametrize("state", [GuardState.CLEAN, GuardState.BLOCKED, GuardState.ERROR])
def test_where_scanners_looked_there_are_details(state: GuardState) -> None:
    assert details_of(Verdict(state, configuration="ab12")) == (
        '{"configuration":"ab12","cached":false,"scanners":{}}'
    )


def test_what_was_taken_out_is_not_called_let_through() -> None:
    taken_out = ScannerResult("secrets", passed=True, score=1.0, reason="key", redacted=2)
    verdict = Verdict(GuardState.CLEAN, (taken_out,))
    assert (verdict.flagged, verdict.redacted) == ((), (taken_out,))
    assert verdict.summary() == "clean;redacted:secrets"
