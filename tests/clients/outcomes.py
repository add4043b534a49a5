"""Runs a client's calls one after the other and tells what each gave, as one JSON object."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout
from typing import Any

Call = Callable[[], Any]


def tell(calls: Mapping[str, Call]) -> None:
    """Print the outcomes: `{"name": {"value": ...}}`, or `error`, its class, and what it holds."""
    with redirect_stdout(sys.stderr):
        outcomes = {name: outcome(call) for name, call in calls.items()}
    sys.stdout.write(json.dumps(outcomes) + "\n")


def outcome(call: Call) -> dict[str, Any]:
    """What one call gave."""
    try:
        return {"value": plain(call())}
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
        return {
            "error": type(error).__name__,
            "message": str(error),
            "status": getattr(error, "status_code", None),
            "code": getattr(error, "code", None),
            "parts": plain(getattr(error, "parts", [])),
        }


def collected(stream: Iterable[Any]) -> list[Any]:
    """All parts of a stream; one that breaks off keeps those that came in its error's `parts`."""
    parts = []
    try:
        for part in stream:
            parts.append(part)
    except Exception as error:
        error.parts = parts  # type: ignore[attr-defined]  # read by `outcome`
        raise
    return parts


def plain(value: Any) -> Any:
    """The same as JSON knows it."""
    if hasattr(value, "model_dump"):
        value = value.model_dump()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
