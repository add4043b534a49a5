"""Lines and documents of Ollama's own routes."""

import json
import re

from ogp.demo.completion import Completion, Piece, Usage
from ogp.demo.ollama_forms import ChatForm, DocumentForm, GenerateForm, call_id, timestamp

USAGE = Usage("stop", 3, 2, total_ns=10, prompt_ns=4)
NOTHING = Completion([])


def test_time_is_written_as_by_go() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", timestamp())


def test_generate_line_has_gos_order_of_keys() -> None:
    form = GenerateForm("m", prompt="a", raw=False)
    assert list(json.loads(form.piece(Piece(text="x")))) == [
        "model",
        "created_at",
        "response",
        "done",
    ]
    assert list(json.loads(form.closing(NOTHING, USAGE))) == [
        "model",
        "created_at",
        "response",
        "done",
        "done_reason",
        "context",
        "total_duration",
        "load_duration",
        "prompt_eval_count",
        "prompt_eval_duration",
        "eval_count",
        "eval_duration",
    ]


def test_lines_never_hold_a_separator_that_clients_split_at() -> None:
    line = ChatForm("m").piece(Piece(text="a\u2028b\nc"))
    assert len(line.decode().splitlines()) == 1


def test_tool_calls_have_an_index_and_a_stable_id() -> None:
    call = {"name": "f", "arguments": {}}
    completion = Completion([Piece(tool_call=call), Piece(tool_call=call)])
    message = ChatForm("m").whole(completion, USAGE)["message"]
    assert [entry["function"]["index"] for entry in message["tool_calls"]] == [0, 1]
    assert message["tool_calls"][0]["id"] == call_id(call)
    assert message["tool_calls"][0]["id"].startswith("call_")


def test_failure_is_a_line_with_an_error() -> None:
    assert ChatForm("m").failure("broken") == b'{"error":"broken"}\n'


def test_document_is_given_as_it_is_and_never_streamed() -> None:
    form = DocumentForm({"a": 1})
    assert form.whole(NOTHING, USAGE) == {"a": 1}
    assert form.opening() + form.piece(Piece()) + form.closing(NOTHING, USAGE) == b""
    assert form.refusal(500, "x") == {"error": "x"}


def test_document_of_another_dialect_refuses_in_that_dialect() -> None:
    form = DocumentForm({}, refusal=lambda status, message: [status, message])
    assert form.refusal(500, "x") == [500, "x"]
