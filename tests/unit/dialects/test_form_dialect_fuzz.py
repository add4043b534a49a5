"""Whatever is sent to whichever route: a request, or a refusal of the 4xx kind."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ogp.core.errors import GatewayError
from ogp.dialects.base import Operation
from ogp.dialects.coverage import DIALECTS
from ogp.dialects.forms import Form
from ogp.settings.schema import LimitSettings

OPERATIONS = [o for kind in DIALECTS for o in kind(LimitSettings()).operations]
WORDS = ("type", "role", "content", "text", "function", "name", "arguments", "source", "data",
         "input", "output", "summary", "image_url", "url", "user", "assistant", "tool", "image",
         "base64", "message", "document", "tool_result", "input_text", "aGk=", "m", "x:cloud",
         "{\"a\": \"\\u0062\"}", "sha256:" + "0" * 64)  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=8)
)
KEYS = st.sampled_from(WORDS) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def documents(form: Form) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies of which much is right."""
    names = sorted({"model", "name", "messages", "input", "max_tokens", *form.checks})
    fields = st.dictionaries(st.sampled_from(names) | KEYS, VALUES, max_size=6)
    right = {"model": "m", "max_tokens": 1, "source": "m", "destination": "n"}
    return st.builds(lambda start, more: {**start, **more}, st.sampled_from([{}, right]), fields)


def outcome(operation: Operation, body: bytes, params: dict[str, str]) -> None:
    status, request = 200, None
    try:
        request = operation.parse(body, params)
    except GatewayError as error:
        status = error.status
    assert 200 <= status < 500
    if request is not None:
        assert request.body == b"" or isinstance(json.loads(request.body), dict)
        assert "{" not in request.upstream_path


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.method} {o.path}")
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_document_breaks_a_parser(operation: Operation, data: st.DataObject) -> None:
    document = data.draw(documents(operation.form))
    body = json.dumps(document, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "replace")
    outcome(operation, body, {"model": "m", "digest": WORDS[-1], "key": "k"})


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.method} {o.path}")
@settings(max_examples=30, deadline=None)
@given(body=st.binary(max_size=60), part=st.text(max_size=20))
def test_no_bytes_and_no_path_break_a_parser(operation: Operation, body: bytes, part: str) -> None:
    outcome(operation, body, {"model": part, "digest": part, "key": part})
    outcome(operation, b"", {"model": part, "digest": part, "key": part})
