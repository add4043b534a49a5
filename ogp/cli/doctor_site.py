"""What a check of `ogp doctor` is given and what it says."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from ogp.cli.doctor_reply import Headers, Reply, WireError
from ogp.cli.doctor_wire import Connection, Wire

CODE = re.compile(r"[a-z_]{1,40}")
MAX_TEXT_CHARS = 400
BROKEN_JSON = b'{"model":'
"""Asks whether a route is there: no server does anything on it."""
CLIENT_ENCODINGS = ("Accept-Encoding", "gzip, deflate")
"""What the official clients send."""


class Result(StrEnum):
    """How a check ends."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


class Need(StrEnum):
    """What a check cannot do without."""

    SERVER = "server"
    TOKEN = "token"  # noqa: S105 - a word, not a secret
    ADMIN = "admin"
    MODEL = "model"
    DIRECT = "direct"


class Caller(StrEnum):
    """In whose name a check asks."""

    NOBODY = "nobody"
    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found."""

    result: Result
    evidence: str
    """One line; no text of prompts or answers."""
    hint: str = ""
    """How to mend it."""


def ok(evidence: str) -> Finding:
    """All is right."""
    return Finding(Result.OK, evidence)


def warn(evidence: str, hint: str) -> Finding:
    """It works, and should be looked at."""
    return Finding(Result.WARN, evidence, hint)


def fail(evidence: str, hint: str) -> Finding:
    """It does not work, or is not safe."""
    return Finding(Result.FAIL, evidence, hint)


def skipped(reason: str, hint: str = "") -> Finding:
    """It cannot be told."""
    return Finding(Result.SKIPPED, reason, hint)


class RateLimitedError(WireError):
    """The answer was 429."""


@dataclass(frozen=True, slots=True)
class Site:
    """The deployment that is looked at."""

    wire: Wire
    token: str | None = field(default=None, repr=False)
    admin_token: str | None = field(default=None, repr=False)
    model: str = ""
    direct: Wire | None = None
    """A plain Ollama to compare with."""
    lacks: Mapping[Need, str] = field(default_factory=dict)
    """What is not there, and why."""

    @property
    def secrets(self) -> Iterable[str]:
        """What must not be shown."""
        return [secret for secret in (self.token, self.admin_token) if secret]

    def credentials(self, caller: Caller) -> Headers:
        """The headers that say who asks."""
        tokens = {Caller.USER: self.token, Caller.ADMIN: self.admin_token}
        token = tokens.get(caller)
        return (("Authorization", f"Bearer {token}"),) if token else ()

    def ask(
        self,
        method: str,
        path: str,
        document: Mapping[str, Any] | bytes | None = None,
        *,
        caller: Caller = Caller.USER,
        headers: Headers = (),
        version: str = "1.1",
    ) -> Reply:
        """One request and its whole answer.

        Raises:
            WireError: no answer, or one that is not HTTP.
            RateLimitedError: the answer is 429.
        """
        body = orjson.dumps(document) if isinstance(document, Mapping) else document
        reply = self.wire.request(
            method,
            path,
            headers=(*self.credentials(caller), *headers),
            body=body,
            version=version,
        )
        if reply.status == 429:
            raise RateLimitedError("429: requests come too fast for its rate limit")
        return reply

    def send(
        self,
        connection: Connection,
        method: str,
        path: str,
        *,
        headers: Headers = (),
        body: bytes | None = None,
    ) -> None:
        """Write a request of the user to an open connection."""
        headers = (*self.credentials(Caller.USER), *headers)
        connection.send(method, path, headers=headers, body=body)

    def own(self, path: str) -> Mapping[str, Any]:
        """What an endpoint of the proxy itself says; empty if it is no document."""
        document = self.ask("GET", path).document
        return document if isinstance(document, dict) else {}

    def limit(self, name: str, default: int) -> int:
        """A setting of `limits`, as far as `/config` tells it."""
        limits = self.own("/config").get("limits")
        value = limits.get(name) if isinstance(limits, dict) else None
        return value if type(value) is int and value > 0 else default


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    name: str
    right: str
    """What is right, as a sentence without its full stop."""
    look: Callable[[Site], Finding]
    needs: tuple[Need, ...] = (Need.SERVER,)


def code_of(document: Any) -> str:
    """The stable code in an error of any dialect; empty if there is none."""
    if not isinstance(document, dict):
        return ""
    error = document.get("error")
    code = error.get("code") if isinstance(error, dict) else document.get("code")
    return code if isinstance(code, str) and CODE.fullmatch(code) else ""


def said(reply: Reply) -> str:
    """Status and code, or status and type of something that has none."""
    document = reply.document
    kind = code_of(document) or ("" if document is not None else f"({reply.content_type or '-'})")
    return f"{reply.status} {kind}".rstrip()


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """Fit to be shown: without secrets and control characters, and not too long."""
    for secret in secrets:
        text = text.replace(secret, "***")
    plain = "".join(char if char.isprintable() else "?" for char in text)
    return plain if len(plain) <= MAX_TEXT_CHARS else plain[: MAX_TEXT_CHARS - 3] + "..."
