"""Ready-made scripts."""

import json

from ogp.demo.script import Script


def test_lines_are_one_chunk_each() -> None:
    assert Script.lines({"a": 1}, {"b": 2}).chunks == [b'{"a":1}\n', b'{"b":2}\n']


def test_generate_streams_the_texts_and_ends_with_done() -> None:
    script = Script.generate("Hel", "lo", model="m", status=201)
    lines = [json.loads(chunk) for chunk in script.chunks]
    assert [line["response"] for line in lines] == ["Hel", "lo", ""]
    assert [line["done"] for line in lines] == [False, False, True]
    assert {line["model"] for line in lines} == {"m"}
    assert (lines[-1]["eval_count"], script.status) == (2, 201)


def test_chat_streams_the_texts_and_ends_with_done() -> None:
    lines = [json.loads(chunk) for chunk in Script.chat("a", "b").chunks]
    assert [line["message"]["content"] for line in lines] == ["a", "b", ""]
    assert lines[-1]["done_reason"] == "stop"


def test_document_has_a_length_and_the_type_of_json() -> None:
    script = Script.document({"a": 1}, status=404)
    assert (script.chunks, script.framing, script.status) == ([b'{"a":1}'], "length", 404)
    assert script.headers == {"Content-Type": "application/json; charset=utf-8"}


def test_document_may_have_other_headers() -> None:
    assert Script.document({}, headers={"X": "y"}).headers == {"X": "y"}


def test_events_are_cut_where_asked() -> None:
    script = Script.events(b"data: a\n\ndata: b\n\n", 3, 3, 10, status=201)
    assert script.chunks == [b"dat", b"a: a\n\nd", b"ata: b\n\n"]
    assert (script.headers, script.status) == ({"Content-Type": "text/event-stream"}, 201)
