"""Answers in which something is taken out or put back, as the client gets them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import ResponseBlockedError, UpstreamError
from ogp.core.types import InferenceRequest, Usage, Verdict
from ogp.dialects.ollama import OllamaDialect
from ogp.guard.cache import VerdictCache
from ogp.guard.output import AnswerGuard, build_output_guard
from ogp.settings.guard_schema import GuardSettings
from ogp.settings.schema import CacheSettings, LimitSettings
from tests.support.stages import ALICE, NoRewriter

DIALECT = OllamaDialect(LimitSettings())
KEY = "AKIA" + "Q" * 16
LABEL = "[REDACTED:phrase no. 1]"
VAULT = {"[EMAIL_ADDRESS_1]": 'a"b@c.de', "[PERSON_1]": "Zoë"}


def request_of(*, stream: bool = True, vault: dict[str, str] | None = None) -> InferenceRequest:
    return InferenceRequest("ollama", "chat", "POST", "/api/chat", stream=stream, vault=vault or {})


def make_guard(
    *phrases: str, action: str = "redact", cache: VerdictCache | None = None, **scanners: Any
) -> AnswerGuard:
    section = {
        "ban_substrings": {"substrings": phrases, "action": action},
        "invisible_text": {"enabled": False},
        **scanners,
    }
    return build_output_guard(GuardSettings.model_validate({"output_scanners": section}), cache)


def line(content: str = "", **fields: Any) -> bytes:
    message = {"role": "assistant", "content": content, **fields.pop("message", {})}
    document = {"model": "m", "message": message, "done": False, **fields}
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


DONE = line(done=True, prompt_eval_count=3, eval_count=4)


class Client:
    """Reads an answer to its end, or to the block."""

    def __init__(
        self,
        guard: AnswerGuard,
        *chunks: bytes,
        request: InferenceRequest | None = None,
        failure: Exception | None = None,
    ) -> None:
        self.reports: list[Verdict] = []
        self.usage: Usage | None = None
        self.error: Exception | None = None
        self.raw = b""
        request = request or request_of()
        events = DIALECT.events(request, self._chunks(chunks, failure), texts=True)
        try:
            for event in guard.filter(request, ALICE, DIALECT, events, self.reports.append):
                self.raw += event.raw
                self.usage = event.usage or self.usage
        except (ResponseBlockedError, UpstreamError) as error:
            self.error = error

    @staticmethod
    def _chunks(chunks: tuple[bytes, ...], failure: Exception | None) -> Iterator[bytes]:
        yield from chunks
        if failure is not None:
            raise failure

    @property
    def documents(self) -> list[Any]:
        return [json.loads(each) for each in self.raw.splitlines()]

    def text(self, key: str = "content") -> str:
        return "".join(each["message"].get(key, "") for each in self.documents)

    @property
    def summary(self) -> str:
        (verdict,) = self.reports
        return verdict.summary()


TEXT = 'so the blue heron left héé 中 \\ " blue,\nheron blue heron'


@pytest.mark.parametrize("channel", ["content", "thinking"])
def test_a_phrase_is_taken_out_wherever_the_stream_is_cut(channel: str) -> None:
    expected = TEXT.replace("blue heron", LABEL)
    for cut in range(len(TEXT) + 1):
        parts = [line(message={channel: part}) for part in (TEXT[:cut], TEXT[cut:])]
        client = Client(make_guard("blue heron"), *parts, DONE)
        assert client.text(channel) == expected
        assert client.summary == "clean;redacted:ban_substrings"
        assert client.usage == Usage(3, 4)
    assert client.reports[0].redacted[0].redacted == 2


@pytest.mark.parametrize("channel", ["content", "thinking"])
def test_words_come_back_wherever_the_stream_is_cut(channel: str) -> None:
    text = 'dear [PERSON_1] "[email_address_1]", not [PERSON_2]'
    expected = 'dear Zoë "a"b@c.de", not [PERSON_2]'
    request = request_of(vault=VAULT)
    for cut in range(len(text) + 1):
        parts = [line(message={channel: part}) for part in (text[:cut], text[cut:])]
        client = Client(make_guard("heron"), *parts, DONE, request=request)
        assert client.text(channel) == expected


def test_bytes_cut_anywhere_are_read_as_one() -> None:
    raw = line("the blue her") + line("on é[PER") + line("SON_1]") + DONE
    request = request_of(vault=VAULT)
    for cut in range(len(raw)):
        client = Client(make_guard("blue heron"), raw[:cut], raw[cut:], request=request)
        assert client.text() == f"the {LABEL} éZoë"


def test_lines_without_a_change_keep_their_bytes() -> None:
    same = b'{ "x":12345678901234567890, "message" : {"content":"h\\u0069"}  }\r\n'
    changed = line("heron", x=12345678901234567890, model="heron", done_reason=None)
    client = Client(make_guard("heron"), same, changed, same, DONE)
    assert client.raw.startswith(same)
    assert client.raw.count(same) == 2
    new = changed.replace(b'"content":"heron"', f'"content":"{LABEL}"'.encode())
    assert client.raw == same + new + same + DONE


CALL = {"function": {"name": "send", "arguments": {"to": "x", "heron": ["a heron", 1.50]}}}


def test_arguments_of_tool_calls_are_rewritten_with_their_keys() -> None:
    client = Client(make_guard("heron"), line(message={"tool_calls": [CALL]}), DONE)
    (call,) = client.documents[0]["message"]["tool_calls"]
    assert call["function"]["arguments"] == {"to": "x", LABEL: [f"a {LABEL}", 1.50]}


def test_words_come_back_in_arguments_and_in_json_within_them() -> None:
    arguments = {
        "to": "[EMAIL_ADDRESS_1]",
        "body": '{"to":"[EMAIL_ADDRESS_1]"}',
        "[PERSON_1]": ["[PERSON_1]"],
    }
    call = {"function": {"name": "send", "arguments": arguments}}
    for stream in (True, False):
        request = request_of(stream=stream, vault=VAULT)
        client = Client(make_guard(), line(message={"tool_calls": [call]}), request=request)
        (call_back,) = client.documents[0]["message"]["tool_calls"]
        restored = call_back["function"]["arguments"]
        assert restored["to"] == 'a"b@c.de'
        assert json.loads(restored["body"]) == {"to": 'a"b@c.de'}
        assert restored["Zoë"] == ["Zoë"]


def test_an_answer_that_is_json_stays_json() -> None:
    text = '{"name": "[PERSON_1]", "mail": "[EMAIL_ADDRESS_1]"}'
    client = Client(make_guard(), *map(line, text), request=request_of(vault=VAULT))
    assert json.loads(client.text()) == {"name": "Zoë", "mail": 'a"b@c.de'}


def test_a_document_is_changed_in_all_its_channels() -> None:
    raw = line("a heron for [PERSON_1]", message={"thinking": "heron?", "tool_calls": [CALL]})
    client = Client(make_guard("heron"), raw[:-1], request=request_of(stream=False, vault=VAULT))
    message = client.documents[0]["message"]
    assert message["content"] == f"a {LABEL} for Zoë"
    assert message["thinking"] == f"{LABEL}?"
    assert client.reports[0].redacted[0].redacted == 4
    assert not client.raw.endswith(b"\n")


def test_probabilities_of_what_was_taken_out_go_along() -> None:
    logprobs = [{"token": "he", "bytes": [104, 101], "top_logprobs": [{"token": "he"}]}]
    client = Client(
        make_guard("heron"), line("he", logprobs=logprobs), line("ron", logprobs=logprobs), DONE
    )
    assert client.text() == LABEL
    assert b"logprobs" not in client.raw


def test_what_is_hit_in_disguise_blocks() -> None:
    client = Client(make_guard("heron"), line("fine, heron. " * 3), line("h e r o n"), DONE)
    assert isinstance(client.error, ResponseBlockedError)
    assert client.summary == "blocked:ban_substrings;redacted:ban_substrings"
    assert b"h e r" not in client.raw


def test_bytes_that_are_no_json_and_hold_a_hit_block() -> None:
    client = Client(make_guard("heron"), line("fine"), b"a heron\n", DONE)
    assert isinstance(client.error, ResponseBlockedError)
    assert client.error.facts["reason"] == "ban_substrings"
    assert b"heron" not in client.raw


def test_two_keys_that_would_become_one_block() -> None:
    call = {"function": {"name": "f", "arguments": {"heron": 1, "HERON": 2}}}
    client = Client(make_guard("heron"), line(message={"tool_calls": [call]}), DONE)
    assert isinstance(client.error, ResponseBlockedError)


def test_bytes_that_are_no_json_keep_their_placeholders() -> None:
    client = Client(make_guard(), b"dear [PERSON_1]\n", request=request_of(vault=VAULT))
    assert client.raw == b"dear [PERSON_1]\n"


def test_what_came_is_passed_on_changed_before_the_error_of_a_broken_upstream() -> None:
    request = request_of(vault=VAULT)
    gone = UpstreamError("gone")
    client = Client(make_guard("heron"), line("heron [PERSON_1] ["), request=request, failure=gone)
    assert client.error is gone
    assert client.text() == f"{LABEL} Zoë ["
    assert client.summary == "clean;redacted:ban_substrings"


def test_words_come_back_where_nothing_is_scanned() -> None:
    guard = build_output_guard(GuardSettings(output_enabled=False))
    request = request_of(vault=VAULT)
    assert guard.reads(request, ALICE)
    assert not guard.reads(request_of(), ALICE)
    client = Client(guard, line("[PERSON_1]"), DONE, request=request)
    assert client.text() == "Zoë"
    assert client.summary == "off"


def test_restored_words_are_neither_scanned_nor_remembered() -> None:
    cache = VerdictCache(CacheSettings(), SystemClock())
    guard = make_guard("zoë", action="block", cache=cache)
    raw = line("dear [PERSON_1]")
    summaries = []
    for vault in ({"[PERSON_1]": "Zoë"}, {"[PERSON_1]": "Ann"}):
        client = Client(guard, raw, request=request_of(stream=False, vault=vault))
        assert client.text() == "dear " + vault["[PERSON_1]"]
        summaries.append(client.summary)
    assert summaries == ["clean", "clean;cached"]


def test_a_remembered_verdict_tells_what_was_taken_out_this_time() -> None:
    cache = VerdictCache(CacheSettings(), SystemClock())
    guard = make_guard("heron", cache=cache)
    request = request_of(stream=False)
    assert Client(guard, line("a heron"), request=request).summary == (
        "clean;redacted:ban_substrings"
    )
    assert Client(guard, line("a heron"), request=request).summary == (
        "clean;cached;redacted:ban_substrings"
    )
    assert Client(guard, line(f"a {LABEL}"), request=request).summary == "clean;cached"


def test_two_answers_at_once_get_their_own_words() -> None:
    guard = make_guard("heron")
    answers = []
    for word in ("Zoë", "Ann"):
        request = request_of(vault={"[PERSON_1]": word})
        chunks = iter([line("dear [PER"), line("SON_1] heron "), line("x" * 40)])
        events = DIALECT.events(request, chunks, texts=True)
        answers.append(guard.filter(request, ALICE, DIALECT, events, lambda _: None))
    texts = ["", ""]
    for pair in zip(*answers, strict=True):
        for number, event in enumerate(pair):
            texts[number] += json.loads(event.raw)["message"]["content"]
    assert texts == [f"dear {word} {LABEL} {'x' * 40}" for word in ("Zoë", "Ann")]


def test_private_keys_are_taken_out_of_documents_and_block_streams() -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIE\n" * 200 + "-----END RSA PRIVATE KEY-----"
    guard = make_guard(secrets={"enabled": True, "action": "redact"})
    document = Client(guard, line(f"here: {key}."), request=request_of(stream=False))
    assert document.text() == "here: [REDACTED:private key]."
    stream = Client(guard, *map(line, f"here: {key}."), DONE)
    assert isinstance(stream.error, ResponseBlockedError)
    assert b"MIIE" not in stream.raw


@pytest.mark.parametrize("action", ["block", "flag"])
def test_without_redaction_no_event_is_rewritten(action: str) -> None:
    guard = make_guard("heron", action=action)
    request = request_of()
    events = list(DIALECT.events(request, iter([line("a bird"), DONE]), texts=True))
    reports: list[Verdict] = []
    left = list(guard.filter(request, ALICE, NoRewriter(), iter(events), reports.append))
    assert left == events
