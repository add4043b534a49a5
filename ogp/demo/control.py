"""`/__demo`: scripts and records for other processes of this machine."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import asdict
from threading import Event, Lock
from typing import Any, get_args

from ogp.demo import gojson
from ogp.demo.ledger import Ledger
from ogp.demo.script import Ending, Framing, Script
from ogp.demo.scripts import Scripts

PREFIX = "/__demo/"
_NUMBER = (int, float)
_TYPES: dict[str, type | tuple[type, ...]] = {
    "status": int,
    "headers": dict,
    "chunks": list,
    "chunks_base64": list,
    "framing": str,
    "content_length": int,
    "hold_before_head": str,
    "hold_after": dict,
    "first_byte_ms": _NUMBER,
    "interval_ms": _NUMBER,
    "end": str,
}
_WORDS = {
    int: "a whole number",
    dict: "an object",
    list: "a list",
    str: "a string",
    _NUMBER: "a number",
}
_PLAIN = ("status", "headers", "framing", "content_length", "end")


class ControlError(ValueError):
    """A control request that makes no sense; the message says which part."""


class Control:
    """Answers `/__demo`. Thread-safe."""

    def __init__(self, ledger: Ledger, scripts: Scripts) -> None:
        self._ledger, self._scripts = ledger, scripts
        self._lock = Lock()  # guards the one below
        self._gates: dict[str, Event] = {}

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Status and document of a request.

        Raises:
            ControlError: the body makes no sense.
        """
        name = path.removeprefix(PREFIX)
        if (method, name) == ("GET", "state"):
            return 200, self._state()
        if (method, name) == ("POST", "script"):
            document = _object(body)
            target = document.get("target")
            scripts = document.get("scripts", [])
            if not isinstance(target, str) or not target or not isinstance(scripts, list):
                raise ControlError("give target (a model or a path) and scripts (a list)")
            self._scripts.put(target, [self._script(script) for script in scripts])
            return 200, {}
        if (method, name) == ("POST", "release"):
            self._gate(str(_object(body).get("gate", ""))).set()
            return 200, {}
        if (method, name) == ("POST", "reset"):
            self.reset()
            return 200, {}
        return 404, {"error": "no such control"}

    def reset(self) -> None:
        """Forget scripts, records and gates; what waits at a gate goes on."""
        with self._lock:
            gates, self._gates = self._gates, {}
        for gate in gates.values():
            gate.set()
        self._scripts.clear()
        self._ledger.reset()

    def _state(self) -> dict[str, Any]:
        return {
            "requests": [
                {
                    "method": request.method,
                    "path": request.path,
                    "headers": dict(request.headers),
                    "body": request.body.decode("utf-8", "replace"),
                    "document": request.document,
                    "at_s": request.at_s,
                }
                for request in self._ledger.requests
            ],
            "disconnects": [asdict(disconnect) for disconnect in self._ledger.disconnects],
            "models": self._ledger.tallies(),
            "scripts": self._scripts.counts(),
        }

    def _gate(self, name: str) -> Event:
        if not name:
            raise ControlError("a gate has a name")
        with self._lock:
            return self._gates.setdefault(name, Event())

    def _script(self, value: Any) -> Script:
        if not isinstance(value, Mapping):
            raise ControlError("each script is an object")
        if unknown := sorted(set(value) - set(_TYPES)):
            raise ControlError(f"unknown key {unknown[0]!r}; known are {', '.join(_TYPES)}")
        for key, given in value.items():
            if not isinstance(given, _TYPES[key]) or isinstance(given, bool):
                raise ControlError(f"{key} is {_WORDS[_TYPES[key]]}")
        options: dict[str, Any] = {key: value[key] for key in _PLAIN if key in value}
        for key, allowed in (("framing", Framing), ("end", Ending)):
            if key in value and value[key] not in get_args(allowed):
                raise ControlError(f"{key} is one of {', '.join(get_args(allowed))}")
        if "hold_before_head" in value:
            options["hold_before_head"] = self._gate(value["hold_before_head"])
        if "hold_after" in value:
            options["hold_after"] = self._hold(value["hold_after"])
        first_byte_s, interval_s = (
            value.get(key, 0) / 1e3 for key in ("first_byte_ms", "interval_ms")
        )
        return Script(_chunks(value), first_byte_s=first_byte_s, interval_s=interval_s, **options)

    def _hold(self, value: Mapping[str, Any]) -> tuple[int, Event]:
        if type(value.get("chunks")) is not int:
            raise ControlError("hold_after has chunks (a number) and gate (a name)")
        return value["chunks"], self._gate(str(value.get("gate", "")))


def _chunks(value: Mapping[str, Any]) -> list[bytes]:
    chunks = [*value.get("chunks", []), *value.get("chunks_base64", [])]
    if not all(isinstance(chunk, str) for chunk in chunks):
        raise ControlError("chunks are strings")
    try:
        decoded = [b64decode(chunk, validate=True) for chunk in value.get("chunks_base64", [])]
    except ValueError:
        raise ControlError("chunks_base64 are base64") from None
    return [chunk.encode() for chunk in value.get("chunks", [])] + decoded


def _object(body: bytes) -> dict[str, Any]:
    try:
        return gojson.Struct("control", {}).read(body)
    except gojson.GoJSONError:
        raise ControlError("the body is a JSON object") from None
