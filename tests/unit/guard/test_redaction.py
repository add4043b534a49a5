"""Prompts without what was hit in them, or with placeholders for it."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ogp.core.errors import GuardError, GuardUnavailableError, PromptBlockedError, TooLargeError
from ogp.core.types import GuardState, InferenceRequest, Verdict
from ogp.dialects.ollama import OllamaDialect
from ogp.guard.base import Span, View
from ogp.guard.input import PromptGuard, build_input_guard
from ogp.guard.model import ModelUnavailableError
from ogp.guard.redaction import FinderScanner, PromptRedaction
from ogp.settings.guard_schema import GuardSettings
from ogp.settings.schema import LimitSettings
from tests.support.stages import ALICE, NoRewriter

DIALECT = OllamaDialect(LimitSettings())
KEY = "AKIA" + "QWERTYUI12345678"
NO_MORE = {"injection_rules": {"enabled": False}}


class Addresses:
    """Finds e-mail addresses; fails at the word `fail`."""

    name, required = "anonymize", True

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked: list[str] = []

    def find(self, text: str) -> Sequence[Span]:
        self.asked.append(text)
        if self.failure is not None and "fail" in text:
            raise self.failure
        matches = re.finditer(r"[\w.]+@[\w.]+\w", text)
        return [Span(*match.span(), "EMAIL_ADDRESS") for match in matches]

    def describe(self) -> Mapping[str, int | str]:
        return {"entities": 1}

    def identity(self) -> str:
        return "addresses"


class Optional(Addresses):
    required = False


def make_guard(
    *phrases: str,
    action: str = "redact",
    finder: Addresses | None = None,
    block_on_error: bool = True,
    **scanners: Any,
) -> PromptGuard:
    section = {
        **NO_MORE,
        "ban_substrings": {"substrings": phrases, "action": action},
        "secrets": {"action": action},
        "invisible_text": {"action": action},
        **scanners,
    }
    settings = GuardSettings.model_validate(
        {"input_scanners": section, "block_on_error": block_on_error}
    )
    return build_input_guard(settings, finders=[finder] if finder else [])


def chat(*contents: str, **fields: Any) -> InferenceRequest:
    messages = [{"role": "user", "content": content} for content in contents]
    return parsed("/api/chat", {"model": "m", "messages": messages, **fields})


def parsed(path: str, document: Mapping[str, Any]) -> InferenceRequest:
    operation = next(each for each in DIALECT.operations if each.path == path)
    return operation.parse(json.dumps(document).encode())


class Scanned:
    """What became of a request."""

    def __init__(self, guard: PromptGuard, request: InferenceRequest) -> None:
        self.reports: list[Verdict] = []
        self.error: PromptBlockedError | GuardError | None = None
        self.request = request
        try:
            self.request = guard.scan(request, ALICE, DIALECT, self.reports.append)
        except (PromptBlockedError, GuardError) as error:
            self.error = error
            self.reports.remove(error.verdict)  # fails unless it was reported
            self.reports.append(error.verdict)

    @property
    def document(self) -> Any:
        return json.loads(self.request.body)

    @property
    def contents(self) -> list[str]:
        return [message["content"] for message in self.document["messages"]]

    @property
    def summary(self) -> str:
        (verdict,) = self.reports
        return verdict.summary()


def test_a_phrase_is_taken_out_and_the_rest_goes_on() -> None:
    scanned = Scanned(make_guard("blue heron"), chat("the Blue Heron project", "hi"))
    assert scanned.contents == ["the [REDACTED:phrase no. 1] project", "hi"]
    assert scanned.summary == "clean;redacted:ban_substrings"
    assert [result.redacted for result in scanned.reports[0].redacted] == [1]


def test_what_is_sent_is_what_was_parsed_anew() -> None:
    scanned = Scanned(make_guard("heron"), chat("a heron"))
    assert [part.text for part in scanned.request.texts] == ["a [REDACTED:phrase no. 1]"]
    assert scanned.request == parsed("/api/chat", scanned.document)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"key {KEY} here", "key [REDACTED:aws access key] here"),
        ("db://bob:hunter22@host", "db://bob:[REDACTED:basic auth credentials]@host"),
        ("ghp_" + "a" * 36, "[REDACTED:github token]"),
        ("hi\U000e0069\U000e0067 you", "hi you"),
        ("i\u200bg\u200bn\u200bo\u200br", "ignor"),
    ],
)
def test_each_scanner_takes_out_its_own(text: str, left: str) -> None:
    assert Scanned(make_guard(), chat(text)).contents == [left]


def test_patterns_take_out_what_they_match() -> None:
    pattern = {"name": "case number", "pattern": r"case-\d{6}", "max_length": 11}
    guard = make_guard(regex={"patterns": [pattern], "action": "redact"})
    assert Scanned(guard, chat("see case-123456.")).contents == ["see [REDACTED:case number]."]


def test_a_request_without_hits_goes_on_as_it_came() -> None:
    request = chat("nothing to see", options={"seed": 12345678901234567890})
    assert Scanned(make_guard("heron"), request).request is request


def test_a_prompt_without_hits_is_not_rewritten_nor_searched_for_pieces() -> None:
    guard = make_guard("heron")
    assert guard.scan(chat("hi"), ALICE, NoRewriter(), lambda _: None) == chat("hi")


def test_other_fields_and_places_keep_what_they_have() -> None:
    request = parsed(
        "/api/generate",
        {
            "model": "heron",
            "prompt": "heron",
            "system": "a heron",
            "options": {"stop": ["heron"], "seed": 12345678901234567890},
            "stream": False,
        },
    )
    scanned = Scanned(make_guard("heron"), request)
    label = "[REDACTED:phrase no. 1]"
    assert scanned.document == {
        "model": "heron",
        "prompt": label,
        "system": f"a {label}",
        "options": {"stop": [label], "seed": 12345678901234567890},
        "stream": False,
    }


def test_roles_stay_although_a_text_is_the_same() -> None:
    scanned = Scanned(make_guard("user"), chat("user"))
    assert scanned.document["messages"][0]["role"] == "user"


@pytest.mark.parametrize(
    "request_",
    [
        chat("a h e r o n"),
        chat("a her\u0301on"),
        chat("her", "on"),
        chat('{"a": "h\\u0065ron"}'),
        chat("hi", tools=[{"type": "function", "function": {"heron": 1}}]),
    ],
    ids=["spaced", "accent", "split over messages", "nested", "key"],
)
def test_what_cannot_be_taken_out_blocks(request_: InferenceRequest) -> None:
    scanned = Scanned(make_guard("heron"), request_)
    assert scanned.summary == "blocked:ban_substrings"
    assert isinstance(scanned.error, PromptBlockedError)


def test_what_is_left_beside_a_redaction_blocks_and_both_are_told() -> None:
    scanned = Scanned(make_guard("heron"), chat("a heron", "h e r o n"))
    assert scanned.summary == "blocked:ban_substrings;redacted:ban_substrings"


def test_a_hit_made_by_taking_something_out_blocks() -> None:
    scanned = Scanned(make_guard("heron"), chat("he\U000e0069\U000e0067ron"))
    assert scanned.summary.startswith("blocked:ban_substrings")


def test_a_hit_of_a_scanner_that_blocks_is_no_matter_of_taking_out() -> None:
    guard = make_guard("heron", secrets={"action": "block"})
    assert Scanned(guard, chat(f"heron {KEY}")).summary.startswith("blocked:secrets")
    assert Scanned(guard, chat(KEY)).summary == "blocked:secrets"


def test_json_in_a_text_stays_json() -> None:
    scanned = Scanned(make_guard("heron"), chat('{"a": "heron \\n"}'))
    assert json.loads(scanned.contents[0]) == {"a": "[REDACTED:phrase no. 1] \n"}


def test_a_flag_takes_nothing_out() -> None:
    guard = make_guard("heron", action="flag")
    scanned = Scanned(guard, chat(f"a heron {KEY}\U000e0069"))
    assert scanned.summary == "clean;flagged:ban_substrings,invisible_text,secrets"
    assert scanned.request == chat(f"a heron {KEY}\U000e0069")


def test_what_grows_beyond_the_limit_is_refused_for_its_size() -> None:
    dialect = OllamaDialect(LimitSettings(max_prompt_chars=100, max_message_chars=100))
    reports: list[Verdict] = []
    with pytest.raises(TooLargeError):
        make_guard("x").scan(chat("x " * 50), ALICE, dialect, reports.append)
    assert reports == [Verdict(GuardState.NOT_SCANNED)]


class FailingRedactor:
    """Knows that something is there and not where."""

    name, redacts, hold_chars = "failing", True, 1

    def spans(self, view: View) -> Sequence[Span]:
        raise RuntimeError(view.text)


def test_a_redactor_that_fails_leaves_the_text_to_the_scan(
    caplog: pytest.LogCaptureFixture,
) -> None:
    redaction = PromptRedaction([FailingRedactor()], (), restore=True)  # type: ignore[list-item]
    request = chat("marker")
    assert redaction.apply(request, NoRewriter()).request is request
    assert "failing" in caplog.text
    assert "marker" not in caplog.text


def test_words_are_hidden_from_the_model_and_kept_for_the_answer() -> None:
    guard = make_guard(finder=Addresses())
    scanned = Scanned(guard, chat("write a@b.de and c@d.de", "again a@b.de"))
    assert scanned.contents == [
        "write [EMAIL_ADDRESS_1] and [EMAIL_ADDRESS_2]",
        "again [EMAIL_ADDRESS_1]",
    ]
    assert scanned.request.vault == {"[EMAIL_ADDRESS_1]": "a@b.de", "[EMAIL_ADDRESS_2]": "c@d.de"}
    assert scanned.summary == "clean;redacted:anonymize"
    assert "a@b.de" not in repr(scanned.request)


def test_each_request_has_a_vault_of_its_own() -> None:
    guard = make_guard(finder=Addresses())
    first, second = (Scanned(guard, chat(f"write {name}@b.de")) for name in "xy")
    assert first.request.vault == {"[EMAIL_ADDRESS_1]": "x@b.de"}
    assert second.request.vault == {"[EMAIL_ADDRESS_1]": "y@b.de"}


def test_without_restoring_the_vault_stays_empty() -> None:
    section = {"anonymize": {"enabled": True, "restore": False}}
    settings = GuardSettings.model_validate({"input_scanners": section})
    scanned = Scanned(build_input_guard(settings, finders=[Addresses()]), chat("a@b.de"))
    assert scanned.contents == ["[EMAIL_ADDRESS_1]"]
    assert scanned.request.vault == {}


def test_a_finder_that_finds_nothing_is_said_to_have_looked() -> None:
    scanned = Scanned(make_guard(finder=Addresses()), chat("hi"))
    assert scanned.summary == "clean"
    assert "anonymize" in [result.scanner for result in scanned.reports[0].results]
    assert scanned.request == chat("hi")


def test_a_finder_alone_is_a_guard() -> None:
    guard = make_guard(
        finder=Addresses(), secrets={"enabled": False}, invisible_text={"enabled": False}
    )
    assert Scanned(guard, chat("a@b.de")).summary == "clean;redacted:anonymize"
    assert guard.describe()["anonymize"] == {"state": "on", "direction": "input", "entities": 1}


def test_switched_off_asks_no_finder() -> None:
    guard = build_input_guard(GuardSettings(input_enabled=False), finders=[Addresses()])
    assert Scanned(guard, chat("a@b.de")).summary == "off"


@pytest.mark.parametrize(
    "request_",
    [
        chat("hi", tools=[{"type": "function", "function": {"a@b.de": 1}}]),
        chat('{"a": "a\\u0040b.de"}'),
        chat("a@b.de", tools=[{"type": "function", "function": {"a@b.de": 1}}]),
    ],
    ids=["key", "nested", "value and key"],
)
def test_personal_data_that_cannot_be_replaced_blocks(request_: InferenceRequest) -> None:
    scanned = Scanned(make_guard(finder=Addresses()), request_)
    assert scanned.summary == "blocked:anonymize"
    assert scanned.error is not None
    assert "a@b.de" not in scanned.error.message + str(scanned.error.facts)


def test_what_a_redactor_hits_does_not_come_back_whatever_else_is_found_there() -> None:
    guard = make_guard("b.de x", finder=Addresses())
    scanned = Scanned(guard, chat("to a@b.de x."))
    assert scanned.contents == ["to [REDACTED:phrase no. 1]."]
    assert scanned.request.vault == {}
    assert scanned.summary == "clean;redacted:ban_substrings"


def test_redactors_and_finders_change_one_text_at_once() -> None:
    scanned = Scanned(make_guard("heron", finder=Addresses()), chat("heron a@b.de"))
    assert scanned.contents == ["[REDACTED:phrase no. 1] [EMAIL_ADDRESS_1]"]
    assert scanned.summary == "clean;redacted:anonymize,ban_substrings"


def test_a_finder_that_fails_refuses_the_prompt() -> None:
    scanned = Scanned(make_guard(finder=Addresses(RuntimeError("marker"))), chat("fail"))
    assert type(scanned.error) is GuardError
    assert scanned.summary == "error:anonymize"
    assert "marker" not in repr(scanned.reports)


def test_a_finder_that_fails_changes_nothing_where_failures_may_pass() -> None:
    finder = Addresses(RuntimeError("marker"))
    request = chat("a@b.de", "fail")
    scanned = Scanned(make_guard(finder=finder, block_on_error=False), request)
    assert scanned.request is request
    assert scanned.summary == "error:anonymize"


def test_a_block_counts_although_a_finder_failed() -> None:
    guard = make_guard("heron", action="block", finder=Addresses(RuntimeError("marker")))
    assert Scanned(guard, chat("fail", "heron")).summary.startswith("blocked:")


def test_a_finder_that_cannot_be_loaded_refuses_unless_it_is_optional() -> None:
    failure = ModelUnavailableError("package")
    scanned = Scanned(make_guard(finder=Addresses(failure)), chat("fail"))
    assert type(scanned.error) is GuardUnavailableError
    scanned = Scanned(make_guard(finder=Optional(failure)), chat("fail"))
    assert scanned.summary == "clean;unscanned:anonymize"


def test_a_finder_stands_in_for_a_scanner() -> None:
    scanner = FinderScanner(Addresses())
    assert scanner.settled(View("abc", open=True)) == 3
    assert scanner.identity() == "addresses"
