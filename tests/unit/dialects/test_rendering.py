import json

import pytest

from ogp.core.errors import GatewayError, GuardError, PromptBlockedError
from ogp.core.types import GuardState, ScannerResult, Verdict
from ogp.dialects.rendering import failed_scanners, render_json

VERDICT = Verdict(
    GuardState.BLOCKED,
    (
        ScannerResult("secrets", passed=True),
        ScannerResult("regex", passed=False),
        ScannerResult("ban_substrings", passed=False),
    ),
)


@pytest.mark.parametrize("char", ["\u2028", "\u2029", "\u0085", "\n", "\r", "\x0b", "\x1c", "\0"])
def test_no_character_breaks_the_line_for_any_client(char: str) -> None:
    rendered = render_json({"message": f"a{char}b", char: 1})
    assert len(rendered.decode().splitlines()) == 1
    assert json.loads(rendered) == {"message": f"a{char}b", char: 1}


def test_other_scripts_stay_readable() -> None:
    assert render_json({"message": "\u65e5\u672c"}) == '{"message":"\u65e5\u672c"}'.encode()


def test_values_json_does_not_know_become_strings() -> None:
    assert (
        render_json(
            {
                "verdict": {
                    1.5,
                }
            }
        )
        == b'{"verdict":"{1.5}"}'
    )


def test_failed_scanners_are_named_in_scan_order() -> None:
    assert failed_scanners(PromptBlockedError("no", VERDICT)) == "regex,ban_substrings"
    assert failed_scanners(GuardError("no", VERDICT)) == "regex,ban_substrings"


def test_other_errors_have_no_scanners() -> None:
    assert failed_scanners(GatewayError("no")) == ""
