"""Ollama's routes that change what is installed, and those that nobody may call here."""

import re
from collections.abc import Mapping
from typing import Any

from ogp.core.errors import InvalidRequestError
from ogp.core.types import InferenceRequest, canonical_model
from ogp.dialects.fields import Check, check_fields, list_of, typed
from ogp.dialects.forms import Body, Caller, Form, Framing, Streams
from ogp.dialects.model_name import check_model_name, is_cloud_model, rename_name
from ogp.dialects.strict import canonical_keys, parse_document, serialise

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_STRING = typed("a string", str)
_BOOLEAN = typed("true or false", bool)
_OBJECT = typed("an object", dict)


def _string_or_strings(where: str, value: Any) -> None:
    if not isinstance(value, str):
        list_of("a string or a list of strings", _STRING)(where, value)


_TRANSFER: Mapping[str, Check] = {
    "name": _STRING,
    "insecure": _BOOLEAN,
    "username": _STRING,
    "password": _STRING,
    "stream": _BOOLEAN,
}
_CREATE: Mapping[str, Check] = {
    "name": _STRING,
    "stream": _BOOLEAN,
    "quantize": _STRING,
    "quantization": _STRING,
    "from": _STRING,
    "remote_host": _STRING,
    "files": _OBJECT,
    "adapters": _OBJECT,
    "template": _STRING,
    "license": _string_or_strings,
    "system": _STRING,
    "parameters": _OBJECT,
    "messages": list_of("a list of objects", _OBJECT),
    "renderer": _STRING,
    "parser": _STRING,
    "requires": _STRING,
    "info": _OBJECT,
    "modelfile": _STRING,
    "path": _STRING,
}
_COPY: Mapping[str, Check] = {"source": _STRING, "destination": _STRING}
_DELETE: Mapping[str, Check] = {"name": _STRING}

NAMES = frozenset({"model", *_TRANSFER, *_CREATE, *_COPY, *_DELETE})
"""Keys at the top of these bodies."""


def _managed(
    operation: str, method: str, checks: Mapping[str, Check], *, streams: bool = False
) -> Form:
    path = f"/api/{operation}"
    return Form(
        operation,
        method,
        path,
        path,
        caller=Caller.MANAGER,
        framing=Framing.NDJSON if streams else Framing.DOCUMENT,
        streams=Streams.UNLESS_FALSE if streams else Streams.NEVER,
        reaches_model=False,
        takes_name=operation != "copy",
        checks=checks,
    )


def _blob(method: str, body: Body) -> Form:
    path = "/api/blobs/{digest}"
    return Form("blob", method, path, path, caller=Caller.MANAGER, body=body, reaches_model=False)


def _refused(operation: str, method: str, path: str, why: str) -> Form:
    return Form(operation, method, path, path, caller=Caller.NOBODY, reaches_model=False, why=why)


_ACCOUNT = "The account of the Ollama server is not managed through this proxy."
_WEB = "Web search and fetching leave this site; they are not offered here."

MANAGED = (
    _managed("pull", "POST", _TRANSFER, streams=True),
    _managed("push", "POST", _TRANSFER, streams=True),
    _managed("create", "POST", _CREATE, streams=True),
    _managed("copy", "POST", _COPY),
    _managed("delete", "DELETE", _DELETE),
    _blob("HEAD", Body.NOTHING),
    _blob("POST", Body.BYTES),
)
"""For administrators, and those whom they allow to manage models."""

REFUSED = (
    _refused("me", "POST", "/api/me", _ACCOUNT),
    _refused("signout", "POST", "/api/signout", _ACCOUNT),
    _refused("user_keys", "DELETE", "/api/user/keys/{key}", _ACCOUNT),
    _refused("web_search", "POST", "/api/experimental/web_search", _WEB),
    _refused("web_fetch", "POST", "/api/experimental/web_fetch", _WEB),
    _refused("model_recommendations", "GET", "/api/experimental/model-recommendations", _WEB),
    _refused(
        "systemone",
        "POST",
        "/v1/systemone",
        "The guard does not know this route's texts yet, so it is not passed on.",
    ),
)
"""Routes of Ollama that do not exist here, and why."""


def parse_managed(
    form: Form, body: bytes, params: Mapping[str, str], *, dialect: str
) -> InferenceRequest:
    """A request that changes what is installed; for a file, its head.

    Args:
        form: one of `MANAGED`.
        body: the document; empty where the route takes none, or a file.
        params: parts of the path.
        dialect: the caller's, for the record.

    Raises:
        InvalidRequestError: names the field and what would be right.
    """
    if form.body is not Body.JSON:
        return _parse_blob(form, body, params, dialect)
    document = canonical_keys(parse_document(body, names=NAMES), NAMES)
    if form.takes_name:
        rename_name(document)
    check_fields(document, form.checks)
    model = _model_of(form, document)
    return InferenceRequest(
        dialect=dialect,
        operation=form.operation,
        method=form.method,
        upstream_path=form.upstream_path,
        body=serialise(document),
        model=model,
        stream=form.streams is Streams.UNLESS_FALSE and document.get("stream") is not False,
        scanned=False,
        queued=False,
        managed=True,
        restricted=("cloud_model",) if _leaves_the_site(document, model) else (),
    )


def _model_of(form: Form, document: Mapping[str, Any]) -> str:
    if form.operation != "copy":
        return canonical_model(check_model_name("model", document.get("model")))
    check_model_name("destination", document.get("destination"))
    return canonical_model(check_model_name("source", document.get("source")))


def _leaves_the_site(document: Mapping[str, Any], model: str) -> bool:
    """Whether prompts for this model would go to another host."""
    base = document.get("from")
    return (
        bool(document.get("remote_host"))
        or is_cloud_model(model)
        or (isinstance(base, str) and is_cloud_model(base))
    )


def _parse_blob(
    form: Form, body: bytes, params: Mapping[str, str], dialect: str
) -> InferenceRequest:
    digest = params.get("digest", "")
    if not DIGEST.fullmatch(digest):
        raise InvalidRequestError(
            "the path must end in the file's digest: sha256: and 64 hexadecimal digits"
        )
    if body:
        raise InvalidRequestError(f"{form.method} {form.path} takes no body: send none")
    return InferenceRequest(
        dialect=dialect,
        operation=form.operation,
        method=form.method,
        upstream_path=form.upstream_path.replace("{digest}", digest),
        scanned=False,
        queued=False,
        managed=True,
    )
