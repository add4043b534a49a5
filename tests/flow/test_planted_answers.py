"""A banned phrase in any place of any route's answer never reaches the client, however it is cut.

The places come from the coverage table. Where the operator wants it redacted, the rest arrives.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from ogp.demo.script import Script
from ogp.demo.server import DemoServer
from ogp.dialects.forms import Framing
from tests.support.answered import (
    FILLER,
    FORMS,
    TAIL,
    Place,
    ends_blocked,
    framed,
    places,
    shape_of_answer,
)
from tests.support.planted import (
    Path,
    at,
    encoded,
    escaped,
    leaves,
    minimal,
    named,
    nested,
    objects,
    replaced,
)
from tests.support.proxy import BANNED, WAIT_S, Proxy
from tests.support.rich_answers import RICH_ANSWERS, as_event

LABEL = "[REDACTED:phrase no. 1]"


@pytest.fixture(scope="module")
def redacting(
    shared_upstream: DemoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    with Proxy(
        tmp_path_factory.mktemp("redacting"),
        shared_upstream.url,
        guard__output_scanners__ban_substrings__substrings=BANNED,
        guard__output_scanners__ban_substrings__action="redact",
    ) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        yield opened


def ask(session: requests.Session, proxy: Proxy, path: str, *, stream: bool) -> requests.Response:
    document = minimal(FORMS[path][1])
    if "stream" in FORMS[path][1].checks:
        document["stream"] = stream
    return session.post(proxy.url + path, json=document, headers=proxy.headers(), timeout=WAIT_S)


def said_with(place: Place, *phrase: str) -> list[str]:
    texts = [*FILLER, *phrase, *TAIL]
    return ['{"a": "', *texts, '"}'] if place.is_json else texts


CUTS = [(BANNED[:cut], BANNED[cut:]) for cut in range(1, len(BANNED))]
PHRASES = [(BANNED,), tuple(BANNED), *CUTS]


CLIENTS_JOIN = {
    "/api/generate": {"response", "thinking"},
    "/v1/generate": {"response", "thinking"},
    "/api/chat": {"message.content", "message.thinking"},
    "/v1/chat/completions": {
        "choices[].delta.content",
        "choices[].delta.reasoning",
        "choices[].delta.refusal",
        "choices[].delta.tool_calls[].function.arguments",
    },
    "/v1/completions": {"choices[].text"},
    "/v1/responses": {"delta"},
    "/v1/messages": {"delta.text", "delta.thinking", "delta.partial_json"},
}
"""What official clients put together from a stream's events, whatever our table says."""


def test_the_table_knows_what_clients_join() -> None:
    for path, joined in CLIENTS_JOIN.items():
        assert joined <= {place.place for place in places() if place.path == path}


@pytest.mark.parametrize("place", places(), ids=str)
def test_a_phrase_at_any_cut_never_arrives(
    place: Place, proxy: Proxy, upstream: DemoServer, session: requests.Session
) -> None:
    for phrase in PHRASES:
        texts = said_with(place, *phrase)
        upstream.script("demo", place.script(*texts))
        answer = ask(session, proxy, place.path, stream=True)
        assert answer.status_code == 200
        said = place.said(answer.content)
        assert said
        assert "".join(texts[: len(FILLER) + 2]).startswith(said)
        assert BANNED not in answer.text
        assert ends_blocked(place.dialect, answer.content), answer.text[-500:]


@pytest.mark.parametrize("place", places(), ids=str)
def test_a_phrase_at_any_cut_is_redacted(
    place: Place, redacting: Proxy, upstream: DemoServer, session: requests.Session
) -> None:
    for phrase in PHRASES[::3]:
        script = place.script(*said_with(place, *phrase))
        upstream.script("demo", script)
        answer = ask(session, redacting, place.path, stream=True)
        assert answer.status_code == 200
        # Tokens beside a text that was changed would tell it.
        left = "" if "logprobs" in place.place else LABEL
        assert place.said(answer.content) == "".join(said_with(place, left))
        assert answer.content.endswith(script.chunks[-1])


MAIN = {
    "/api/chat": Place("/api/chat", "message.content"),
    "/v1/chat/completions": Place("/v1/chat/completions", "choices[].delta.content"),
    "/v1/responses": Place("/v1/responses", "delta", "response.output_text.delta"),
    "/v1/messages": Place("/v1/messages", "delta.text"),
}
"""Where the usual answer's text stands."""


@pytest.mark.parametrize("phrase", [BANNED, escaped(BANNED)], ids=["plain", "escaped"])
@pytest.mark.parametrize("path", MAIN)
def test_an_event_cut_at_any_byte_never_arrives(
    path: str, phrase: str, proxy: Proxy, upstream: DemoServer, session: requests.Session
) -> None:
    place = MAIN[path]
    begun = b"".join(map(place.event, FILLER))
    event = place.event(f"a {BANNED} b").replace(BANNED.encode(), phrase.encode())
    start = event.index(phrase.encode())
    for cut in range(start - 4, start + len(phrase) + 4):
        chunks = [begun, event[:cut], event[cut:], place.event("more")]
        upstream.script("demo", Script(chunks, headers=place.script().headers))
        answer = ask(session, proxy, path, stream=True)
        assert answer.status_code == 200
        assert "".join([*FILLER, "a "]).startswith(place.said(answer.content) or "never")
        assert ends_blocked(place.dialect, answer.content)


OTHERS: dict[str, tuple[bytes, bytes]] = {
    "comment": (b"data:", b": %b\ndata:"),
    "event": (b"data:", b"event: %b\ndata:"),
    "id": (b"data:", b"id: %b\ndata:"),
    "field": (b"data:", b"%b\ndata:"),
    "lines": (b"data: {", b'data: {\r\ndata: "%b":1,\ndata:'),
    "no JSON": (b"data: ", b"data: %b "),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("path", [path for path in MAIN if path != "/api/chat"])
def test_what_stands_around_the_data_of_an_event_is_scanned(
    path: str, name: str, proxy: Proxy, upstream: DemoServer, session: requests.Session
) -> None:
    place = MAIN[path]
    old, new = OTHERS[name]
    event = place.event("so").replace(old, new % BANNED.encode(), 1)
    begun = [place.event(text) for text in FILLER]
    upstream.script("demo", Script([*begun, event], headers=place.script().headers))
    answer = ask(session, proxy, path, stream=True)
    assert ends_blocked(place.dialect, answer.content)
    assert BANNED not in answer.text


def is_made_up(path: str, place: Path) -> bool:
    """Whether it is of the server's own making: the answer's id, the name of the model."""
    metadata = shape_of_answer(path).metadata
    return any(named(place[: end + 1]) in metadata for end in range(len(place)))


def variants(path: str) -> Iterator[Any]:
    """Answers of a route with the phrase in one place each."""
    dialect = FORMS[path][0]
    whole = RICH_ANSWERS[dialect]
    for place, _ in leaves(whole):
        if not is_made_up(path, place):
            yield replaced(whole, place, f"a {BANNED} b")
            if place[-1] == "arguments":
                yield replaced(whole, place, nested(BANNED))
    for place in objects(whole):
        yield replaced(whole, place, {**at(whole, place), BANNED: 1})


@pytest.mark.parametrize("path", FORMS)
def test_a_phrase_in_any_string_of_a_document_is_refused(
    path: str, proxy: Proxy, upstream: DemoServer, session: requests.Session
) -> None:
    headers = {"Content-Type": "application/json"}
    for document in variants(path):
        for body in (json.dumps(document).encode(), encoded(document, BANNED)):
            script = Script([body], headers=headers, framing="length")
            upstream.script(FORMS[path][1].upstream_path, script)
            answer = ask(session, proxy, path, stream=False)
            assert answer.status_code == 403, document
            assert "response_blocked" in answer.text
            assert BANNED not in answer.text


STREAMED = [path for path in FORMS if FORMS[path][1].framing is not Framing.DOCUMENT]


@pytest.mark.parametrize("path", STREAMED)
def test_a_phrase_in_any_string_of_an_event_is_stopped(
    path: str, proxy: Proxy, upstream: DemoServer, session: requests.Session
) -> None:
    dialect = FORMS[path][0]
    headers = Place(path, "").script().headers
    for document in variants(path):
        body = framed(dialect, as_event(dialect, document))
        upstream.script("demo", Script([body, body], headers=headers))
        answer = ask(session, proxy, path, stream=True)
        assert answer.status_code == 403, document
        assert BANNED not in answer.text


def without_tokens(node: Any) -> Any:
    """Without `logprobs`, which tell a text in other words."""
    if isinstance(node, dict):
        return {key: without_tokens(value) for key, value in node.items() if key != "logprobs"}
    return [without_tokens(item) for item in node] if isinstance(node, list) else node


@pytest.mark.parametrize("path", FORMS)
def test_a_phrase_in_any_string_of_a_document_is_redacted(
    path: str, redacting: Proxy, upstream: DemoServer, session: requests.Session
) -> None:
    whole = RICH_ANSWERS[FORMS[path][0]]
    headers = {"Content-Type": "application/json"}
    for place, _ in leaves(whole):
        if is_made_up(path, place):
            continue
        text = '{"zone": "a %s b"}' if place[-1] == "arguments" else "a %s b"
        body = json.dumps(replaced(whole, place, text % BANNED)).encode()
        script = Script([body], headers=headers, framing="length")
        upstream.script(FORMS[path][1].upstream_path, script)
        answer = ask(session, redacting, path, stream=False)
        assert answer.status_code == 200, place
        expected = replaced(whole, place, text % LABEL)
        assert without_tokens(answer.json()) == without_tokens(expected)
        assert BANNED not in answer.text


INTERLEAVED = {
    "/v1/chat/completions": '{"choices":[{"index":NUMBER,"delta":{"content":TEXT}}]}',
    "/v1/completions": '{"choices":[{"index":NUMBER,"text":TEXT}]}',
    "/v1/responses": '{"type":"response.output_text.delta","output_index":NUMBER,"delta":TEXT}',
    "/v1/messages": '{"type":"content_block_delta","index":NUMBER,"delta":'
    '{"type":"text_delta","text":TEXT}}',
}
"""How several texts of one answer come by turns."""


@pytest.mark.parametrize("path", INTERLEAVED)
def test_a_phrase_in_one_of_two_texts_that_take_turns_never_arrives(
    path: str, proxy: Proxy, upstream: DemoServer, session: requests.Session
) -> None:
    place = Place(path, "")
    said = ["".join(FILLER), *BANNED, " and so on"]
    other = ["".join(FILLER), *("la " for _ in said[1:])]
    events = [
        framed(
            place.dialect,
            json.loads(
                INTERLEAVED[path].replace("NUMBER", str(number)).replace("TEXT", json.dumps(text))
            ),
        )
        for pair in zip(other, said, strict=True)
        for number, text in enumerate(pair)
    ]
    upstream.script("demo", Script(events, headers=place.script().headers))
    answer = ask(session, proxy, path, stream=True)
    assert ends_blocked(place.dialect, answer.content)
    sent = [number for number in range(len(events)) if is_begun_with(answer, events[: number + 1])]
    assert 1 <= len(sent) <= 2 * len(BANNED)


def is_begun_with(answer: requests.Response, events: list[bytes]) -> bool:
    return answer.content.startswith(b"".join(events))
