"""Bodies as Go reads them; each row is a difference from Python's own reader."""

from typing import Any

import pytest

from ogp.demo import gojson
from ogp.demo.gojson import (
    ANYTHING,
    BOOL,
    DICTIONARY,
    IMAGES,
    INTEGER,
    OPTIONAL_BOOL,
    STRING,
    EmptyBodyError,
    GoJSONError,
    ListOf,
    Struct,
)

ITEM = Struct("Item", {"role": STRING, "content": STRING})
BODY = Struct(
    "Body",
    {
        "prompt": STRING,
        "system": STRING,
        "keep": ANYTHING,
        "raw": BOOL,
        "stream": OPTIONAL_BOOL,
        "options": DICTIONARY,
        "images": IMAGES,
        "number": INTEGER,
        "messages": ListOf(ITEM),
        "native": ListOf(ITEM, merges=False),
    },
)


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'{"prompt":"fine","PROMPT":"evil"}', {"prompt": "evil"}),
        (b'{"PROMPT":"evil","prompt":"fine"}', {"prompt": "fine"}),
        ('{"\u017fystem":"x"}'.encode(), {"system": "x"}),
        (b'{"\\u017fystem":"x"}', {"system": "x"}),
        ('{"\u212aeep":"x"}'.encode(), {"keep": "x"}),
        (b'{"prompt":"A","prompt":null}', {"prompt": "A"}),
        (b'{"prompt":null}', {}),
        (b'{"stream":false,"stream":null}', {}),
        (b'{"keep":1,"keep":null}', {}),
        (b'{"images":["QQ=="],"images":null}', {}),
        (b'{"options":{"a":1,"b":1}, "options":{"b":2}}', {"options": {"a": 1, "b": 2}}),
        (b'{"options":{"a":1}, "options":null}', {}),
        (b'{"options":{"a":1,"A":2,"a":null}}', {"options": {"a": None, "A": 2}}),
        (
            b'{"messages":[{"role":"a","content":"b"}],"messages":[{"content":"c"},{}]}',
            {"messages": [{"role": "a", "content": "c"}, {}]},
        ),
        (
            b'{"native":[{"role":"a","content":"b"}],"native":[{"content":"c"}]}',
            {"native": [{"content": "c"}]},
        ),
        (b'{"images":[null]}', {"images": [None]}),
        (b'{"messages":[null]}', {"messages": [None]}),
        (b'{"prompt":"A"}garbage', {"prompt": "A"}),
        (b'{"prompt":"A"}{"prompt":"B"}', {"prompt": "A"}),
        (b'{"pr\\u006fmpt":"\\u0041"}', {"prompt": "A"}),
        (b'{"prompt":"\xff\xe2\x82A"}', {"prompt": "\ufffd\ufffd\ufffdA"}),
        (b'{"prompt":"\xed\xa0\x80"}', {"prompt": "\ufffd\ufffd\ufffd"}),
        (b'{"prompt":"\\udc00\\ud800"}', {"prompt": "\ufffd\ufffd"}),
        (b'{"prompt":"\\ud83d\\ude00"}', {"prompt": "\U0001f600"}),
        (b'{"keep":["\\ud800",["\\ud800"]]}', {"keep": ["\ufffd", ["\ufffd"]]}),
        (b'{"\\ud800":1}', {"\ufffd": 1}),
        (b'{"prompt":"\\u0000"}', {"prompt": "\x00"}),
        (b"null", {}),
        (b" \t\r\n{} ", {}),
        (b'{"unknown":{"B":[1,{"c":2,"c":3}]}}', {"unknown": {"B": [1, {"c": 3}]}}),
        (b'{"number":18446744073709551616}', {"number": 18446744073709551616}),
        (b'{"keep":1.5e3}', {"keep": 1500.0}),
    ],
)
def test_body_is_bound_as_by_go(body: bytes, document: dict[str, Any]) -> None:
    assert BODY.read(body) == document


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"prompt":5}', "cannot unmarshal number into Go struct field Body.prompt of type"),
        (b'{"prompt":true}', "cannot unmarshal bool"),
        (b'{"prompt":[]}', "cannot unmarshal array"),
        (b'{"raw":"x"}', "cannot unmarshal string"),
        (b'{"options":[]}', "cannot unmarshal array"),
        (b'{"messages":{}}', "cannot unmarshal object"),
        (b'{"messages":["x"]}', "cannot unmarshal string"),
        (b'{"images":["?"]}', "illegal base64"),
        (b'{"images":[1]}', "cannot unmarshal number"),
        (b'{"images":["\xc3\xa4"]}', "illegal base64"),
        (b"[]", "cannot unmarshal array into Go value of type Body"),
        (b'"x"', "cannot unmarshal string into Go value"),
        (b'{"keep":NaN}', "invalid character 'N'"),
        (b'{"keep":1e400}', "cannot unmarshal number 1e400"),
        (b'{"keep":-1e400}', "cannot unmarshal number -1e400"),
        (b'{"keep":' + b"9" * 5000 + b"}", "cannot unmarshal number"),
        (b'{"prompt":"a\nb"}', "invalid character"),
        (b"\xef\xbb\xbf{}", "invalid character"),
        (b'{"prompt":"a",}', "invalid character"),
        (b'// c\n{"prompt":"a"}', "invalid character '/'"),
        ('{"prompt":"x"}'.encode("utf-16-le"), "invalid character"),
        (b'{"prompt":"a"', "unexpected EOF"),
        (b'{"keep":' + b"[" * 20_000 + b"]" * 20_000 + b"}", "exceeded max depth"),
    ],
)
def test_body_is_refused_as_by_go(body: bytes, message: str) -> None:
    with pytest.raises(GoJSONError, match=message.replace("(", r"\(")):
        BODY.read(body)


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_empty_body_is_told_from_a_malformed_one(body: bytes) -> None:
    with pytest.raises(EmptyBodyError):
        BODY.read(body)


def test_deep_nesting_that_can_be_read_but_not_bound_is_refused() -> None:
    value: Any = gojson.Pairs()
    for _ in range(5000):
        value = gojson.Pairs([("a", value)])
    struct = Struct("Deep", {"a": ANYTHING})
    with pytest.raises(RecursionError):
        struct.bind(value, None, "")


def test_a_reader_out_of_stack_while_binding_is_a_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def overflow(_value: Any) -> Any:
        raise RecursionError

    monkeypatch.setattr(gojson, "plain", overflow)
    with pytest.raises(GoJSONError, match="exceeded max depth"):
        BODY.read(b'{"keep":1}')


def test_fold_leaves_letters_alone_that_only_python_folds() -> None:
    assert gojson.fold("\u0131\u00df") == "\u0131\u00df"


def test_documents_are_written_as_go_writes_them() -> None:
    document = {"a": "<>&\u2028\u2029\u00e4", "b": [1, None, True]}
    expected = b'{"a":"\\u003c\\u003e\\u0026\\u2028\\u2029\xc3\xa4","b":[1,null,true]}'  # compact
    assert gojson.encode(document) == expected
