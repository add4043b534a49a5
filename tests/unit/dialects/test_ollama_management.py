import json
from typing import Any

import pytest

from ogp.core.errors import InvalidRequestError
from ogp.core.types import InferenceRequest
from ogp.dialects.forms import Body, Caller, Framing
from ogp.dialects.ollama import OllamaDialect
from ogp.dialects.ollama_management import MANAGED, NAMES, REFUSED, parse_managed
from ogp.settings.schema import LimitSettings

DIGEST = "sha256:" + "0123456789abcdef" * 4
FORMS = {(form.method, form.operation): form for form in MANAGED}
TRANSFERS = ["pull", "push", "create"]


def parse(operation: str, body: Any, method: str = "POST", **params: str) -> InferenceRequest:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_managed(FORMS[method, operation], raw, params, dialect="ollama")


def refusal(operation: str, body: Any, method: str = "POST", **params: str) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        parse(operation, body, method, **params)
    return caught.value.message


def sent(request: InferenceRequest) -> Any:
    return json.loads(request.body)


def test_managing_is_for_managers_and_reaches_no_model() -> None:
    for form in MANAGED:
        assert (form.caller, form.reaches_model, form.queued) == (Caller.MANAGER, False, False)
    for form in REFUSED:
        assert form.caller is Caller.NOBODY
        assert form.why.endswith(".")


def test_known_names_are_their_own_casefold() -> None:
    assert {name.casefold() for name in NAMES} == NAMES


@pytest.mark.parametrize("operation", TRANSFERS)
@pytest.mark.parametrize(
    ("body", "stream"),
    [({}, True), ({"stream": None}, True), ({"stream": False}, False), ({"Stream": True}, True)],
)
def test_progress_is_streamed_unless_told_otherwise(
    operation: str, body: dict[str, Any], stream: bool
) -> None:
    request = parse(operation, {"model": "m", **body})
    assert request.stream is stream
    assert FORMS["POST", operation].framing is Framing.NDJSON
    assert (request.upstream_path, request.managed) == (f"/api/{operation}", True)
    assert (request.scanned, request.queued, request.texts) == (False, False, ())


@pytest.mark.parametrize("operation", TRANSFERS)
@pytest.mark.parametrize(
    "body", [{"name": "User/M:latest"}, {"NAME": "User/M:latest", "model": ""},
             {"model": "User/M:latest", "name": "User/M:latest"}]
)  # fmt: skip
def test_name_is_model(operation: str, body: dict[str, str]) -> None:
    request = parse(operation, body)
    assert (sent(request), request.model) == ({"model": "User/M:latest"}, "user/m")


def test_two_models_are_refused() -> None:
    assert refusal("pull", {"model": "a", "name": "b"}) == (
        "model and name differ: send model alone"
    )


@pytest.mark.parametrize("operation", [*TRANSFERS, "delete"])
@pytest.mark.parametrize("model", [None, "", 5, "a b", "../m", "http://x/m"])
def test_a_model_is_required(operation: str, model: Any) -> None:
    method = "DELETE" if operation == "delete" else "POST"
    assert refusal(operation, {"model": model}, method).startswith("model ")


def test_copy_names_two() -> None:
    request = parse("copy", {"SOURCE": "a:latest", "destination": "u/b:1"})
    assert (request.model, sent(request)) == ("a", {"source": "a:latest", "destination": "u/b:1"})
    assert refusal("copy", {"source": "a"}).startswith("destination is required")
    assert refusal("copy", {"destination": "a"}).startswith("source is required")
    assert refusal("copy", {"source": "a", "destination": "a b"}).startswith("destination must")


def test_delete_carries_a_body() -> None:
    request = parse("delete", {"name": "m"}, "DELETE")
    assert (request.method, request.upstream_path) == ("DELETE", "/api/delete")
    assert sent(request) == {"model": "m"}


@pytest.mark.parametrize(
    ("operation", "body", "right"),
    [
        ("pull", {"insecure": "yes"}, "insecure must be true or false, not a string"),
        ("push", {"stream": 1}, "stream must be true or false, not a number"),
        ("create", {"messages": ["x"]}, "messages[0] must be an object, not a string"),
        ("create", {"license": 1}, "license must be a string or a list of strings, not a number"),
        ("create", {"license": ["MIT", 1]}, "license[1] must be a string, not a number"),
        ("create", {"files": []}, "files must be an object, not a list"),
        ("create", {"remote_host": {}}, "remote_host must be a string, not an object"),
    ],
)
def test_wrong_types_are_refused(operation: str, body: dict[str, Any], right: str) -> None:
    assert refusal(operation, {"model": "m", **body}) == right


def test_everything_known_and_unknown_is_sent() -> None:
    body = {
        "model": "m", "from": "demo", "files": {"a": DIGEST}, "adapters": {}, "template": "t",
        "license": ["MIT"], "system": "s", "parameters": {"seed": 2**64}, "quantize": "q4_K_M",
        "messages": [{"role": "user", "content": "x"}], "renderer": "r", "info": {}, "later": [1],
    }  # fmt: skip
    request = parse("create", body)
    assert sent(request) == body
    assert request.restricted == ()


def test_a_license_may_be_one_text() -> None:
    assert sent(parse("create", {"model": "m", "license": "MIT"}))["license"] == "MIT"


@pytest.mark.parametrize(
    "body",
    [{"remote_host": "https://x"}, {"REMOTE_HOST": "x"}, {"from": "gpt:cloud"}, {"from": "x-cloud"},
     {"model": "mine:cloud"}],
)  # fmt: skip
def test_what_sends_prompts_elsewhere_is_named(body: dict[str, str]) -> None:
    assert parse("create", {"model": "m", **body}).restricted == ("cloud_model",)


def test_a_pulled_cloud_model_is_named_too() -> None:
    assert parse("pull", {"model": "x:cloud"}).restricted == ("cloud_model",)


@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_a_file_is_named_by_its_digest(method: str) -> None:
    request = parse("blob", b"", method, digest=DIGEST)
    assert (request.method, request.upstream_path) == (method, f"/api/blobs/{DIGEST}")
    assert (request.model, request.stream, request.managed, request.body) == ("", False, True, b"")
    assert FORMS["POST", "blob"].body is Body.BYTES


@pytest.mark.parametrize(
    "digest",
    ["", "sha256:", DIGEST[:-1], DIGEST + "0", DIGEST.upper(), DIGEST + "\n", f"x{DIGEST}",
     "sha256-" + DIGEST[7:], "md5:" + DIGEST[7:], "sha256:" + "g" * 64, "../tags",
     "sha256:" + "٠" * 64],
)  # fmt: skip
def test_what_is_no_digest_is_refused(digest: str) -> None:
    assert "64 hexadecimal digits" in refusal("blob", b"", digest=digest)


def test_a_question_for_a_file_carries_none() -> None:
    assert refusal("blob", b"x", "HEAD", digest=DIGEST).endswith("takes no body: send none")


def test_the_dialect_hands_them_over() -> None:
    operations = {(o.method, o.name): o for o in OllamaDialect(LimitSettings()).operations}
    request = operations["POST", "copy"].parse(b'{"source":"a","destination":"b"}')
    assert (request.dialect, request.managed) == ("ollama", True)
    assert operations["HEAD", "blob"].parse(b"", {"digest": DIGEST}).managed
