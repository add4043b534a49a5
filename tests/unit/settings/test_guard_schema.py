import pytest
from pydantic import ValidationError

from ogp.settings.guard_schema import GuardSettings


@pytest.mark.parametrize("scanner", ["ban_substrings", "regex", "secrets", "invisible_text"])
@pytest.mark.parametrize("direction", ["input_scanners", "output_scanners"])
def test_rules_that_know_where_their_hits_stand_can_take_them_out(
    scanner: str, direction: str
) -> None:
    settings = GuardSettings.model_validate({direction: {scanner: {"action": "redact"}}})
    assert getattr(getattr(settings, direction), scanner).action == "redact"


@pytest.mark.parametrize("scanner", ["injection_rules", "token_limit", "toxicity", "code"])
def test_others_cannot(scanner: str) -> None:
    with pytest.raises(ValidationError):
        GuardSettings.model_validate({"input_scanners": {scanner: {"action": "redact"}}})


def test_everything_that_needs_weights_or_packages_is_off_or_auto_by_default() -> None:
    settings = GuardSettings()
    sections = (settings.input_scanners, settings.output_scanners)
    names = ("prompt_injection", "toxicity", "code", "anonymize", "malicious_urls", "no_refusal")
    found = [getattr(section, name, None) for section in sections for name in names]
    assert {each.enabled for each in found if each is not None} == {False, "auto"}
