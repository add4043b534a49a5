"""Handlers of `/`, version, tags, ps, show, and of what installs and removes models."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from ogp.demo import gojson
from ogp.demo.call import Call, RefusedError
from ogp.demo.models import InstalledModel
from ogp.demo.script import CREATED_AT, NDJSON

VERSION = "0.33.0"
CAPABILITIES = ("completion", "tools", "thinking", "vision", "embedding", "insert")
_DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "demo",
    "families": ["demo"],
    "parameter_size": "1M",
    "quantization_level": "F16",
}
_NEVER = "2318-01-01T00:00:00Z"


def root(call: Call) -> None:
    """`GET /`."""
    call.reply.whole(200, b"Ollama is running", {"Content-Type": "text/plain; charset=utf-8"})


def version(call: Call) -> None:
    """`GET /api/version`."""
    call.reply.json(200, {"version": VERSION})


def status(call: Call) -> None:
    """`GET /api/status`."""
    call.reply.json(200, {"cloud": {"disabled": True, "source": "env"}})


def tags(call: Call) -> None:
    """`GET /api/tags`."""
    models = [_entry(model) for model in call.world.library.listed()]
    call.reply.json(200, {"models": models})


def processes(call: Call) -> None:
    """`GET /api/ps`."""
    models = []
    for model in call.world.loaded.listed():
        entry = _entry(model)
        del entry["modified_at"]
        more = {"expires_at": _NEVER, "size_vram": model.size_bytes, "context_length": 4096}
        models.append(entry | more)
    call.reply.json(200, {"models": models})


def show(call: Call) -> None:
    """`POST /api/show`."""
    name = _name(call)
    if not name:
        raise RefusedError(400, "model is required")
    if call.world.library.find(name) is None:
        raise RefusedError(404, f"model '{name}' not found")
    call.reply.json(
        200,
        {
            "license": "The demo model is part of this program.",
            "modelfile": f"FROM {name}\nSYSTEM You are the demo model.\n",
            "parameters": "num_ctx                        4096",
            "template": "{{ .System }} {{ .Prompt }}",
            "system": "You are the demo model.",
            "details": _DETAILS,
            "model_info": {
                "general.architecture": "demo",
                "general.parameter_count": 1_000_000,
                "demo.context_length": 4096,
            },
            "capabilities": list(CAPABILITIES),
            "modified_at": CREATED_AT,
        },
    )


def pull(call: Call) -> None:
    """`POST /api/pull`: installs the model."""
    name = _valid_name(call)
    model = InstalledModel(name, 1_000_000)
    digest = f"sha256:{model.digest}"
    half = {"status": f"pulling {model.digest[:12]}", "digest": digest, "total": model.size_bytes}
    call.world.library.install(name)
    _progress(
        call,
        [
            {"status": "pulling manifest"},
            half,
            {**half, "completed": model.size_bytes // 2},
            {**half, "completed": model.size_bytes},
            {"status": "verifying sha256 digest"},
            {"status": "writing manifest"},
            {"status": "success"},
        ],
    )


def push(call: Call) -> None:
    """`POST /api/push`: says that it did, sends nothing anywhere."""
    name = _name(call)
    if not name:
        raise RefusedError(400, "model is required")
    steps: list[dict[str, Any]] = [{"status": "retrieving manifest"}]
    if call.world.library.find(name) is None:
        steps.append({"error": f"model '{name}' not found"})
    else:
        steps += [{"status": "pushing manifest"}, {"status": "success"}]
    _progress(call, steps)


def create(call: Call) -> None:
    """`POST /api/create`: installs a model of that name."""
    name = _valid_name(call)
    source = call.document.get("from", "")
    if not source and not call.document.get("files"):
        raise RefusedError(400, "neither 'from' or 'files' was specified")
    call.world.library.install(name)
    _progress(
        call,
        [
            {"status": "using existing layer"},
            {"status": "writing manifest"},
            {"status": "success"},
        ],
    )


def copy(call: Call) -> None:
    """`POST /api/copy`."""
    source = call.document.get("source", "")
    destination = call.document.get("destination", "")
    if not source:
        raise RefusedError(400, 'source "" is invalid')
    if not destination:
        raise RefusedError(400, 'destination "" is invalid')
    model = call.world.library.find(source)
    if model is None:
        raise RefusedError(404, f'model "{source}" not found')
    call.world.library.install(destination, model.size_bytes)
    call.reply.whole(200, b"", {})


def delete(call: Call) -> None:
    """`DELETE /api/delete`."""
    name = _name(call)
    if not name:
        raise RefusedError(400, 'name "" is invalid')
    if not call.world.library.delete(name):
        raise RefusedError(404, f"model '{name}' not found")
    call.world.loaded.unload(name)
    call.reply.whole(200, b"", {})


def head_blob(call: Call) -> None:
    """`HEAD /api/blobs/sha256:...`."""
    call.reply.whole(200 if _digest(call) in call.world.blobs else 404, b"", {})


def create_blob(call: Call) -> None:
    """`POST /api/blobs/sha256:...`: hashes what comes and forgets it."""
    digest = _digest(call)
    if digest in call.world.blobs:
        call.reply.whole(200, b"", {})
        return
    found = sha256()
    for piece in call.body:
        found.update(piece)
    if f"sha256:{found.hexdigest()}" != digest:
        raise RefusedError(
            400, f'digest mismatch, expected "{digest}", got "sha256:{found.hexdigest()}"'
        )
    call.world.blobs.add(digest)
    call.reply.whole(201, b"", {})


def _entry(model: InstalledModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": CREATED_AT,
        "size": model.size_bytes,
        "digest": model.digest,
        "details": _DETAILS,
    }


def _name(call: Call) -> str:
    name: str = call.document.get("model") or call.document.get("name") or ""
    return name


def _valid_name(call: Call) -> str:
    name = _name(call)
    if not name or any(char.isspace() for char in name):
        raise RefusedError(400, "invalid model name")
    return name


def _digest(call: Call) -> str:
    algorithm, _, digits = call.argument.replace("-", ":", 1).partition(":")
    if algorithm != "sha256" or len(digits) != 64 or set(digits) - set("0123456789abcdefABCDEF"):
        raise RefusedError(400, "invalid digest format")
    return f"sha256:{digits.lower()}"


def _progress(call: Call, steps: Iterable[dict[str, Any]]) -> None:
    """Stream the steps, or answer with the last; an error is the last thing said."""
    steps = list(steps)
    if not call.document.get("stream", True):
        failed = "error" in steps[-1]
        call.reply.whole(
            500 if failed else 200, gojson.encode(steps[-1]), {"Content-Type": "application/json"}
        )
        return
    call.reply.start(200, {"Content-Type": NDJSON})
    for step in steps:
        call.reply.chunk(gojson.encode(step) + b"\n")
    call.reply.finish()
