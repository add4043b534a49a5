from ogp.core.types import GuardState, ScannerResult, Verdict, canonical_model


def test_latest_tag_and_no_tag_name_the_same_model() -> None:
    assert canonical_model("llama2:latest") == canonical_model("llama2") == "llama2"


def test_other_tags_stay() -> None:
    assert canonical_model("hf.co/user/model:Q4_K_M") == "hf.co/user/model:Q4_K_M"


def test_verdict_summary_names_the_scanners_that_failed() -> None:
    verdict = Verdict(
        GuardState.BLOCKED,
        (ScannerResult("secrets", passed=True), ScannerResult("ban_substrings", passed=False)),
    )
    assert verdict.summary() == "blocked:ban_substrings"


def test_clean_verdict_has_a_bare_summary() -> None:
    verdict = Verdict(GuardState.CLEAN, (ScannerResult("secrets", passed=True),))
    assert verdict.summary() == "clean"
    assert verdict.failed == ()
