"""JSON that we write ourselves: errors before and in a stream."""

from typing import Any

import orjson

from ogp.core.errors import BlockedError, GatewayError, GuardError

_LINE_BREAKS = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)
"""httpx, inside the ollama client, splits lines with `str.splitlines`, i.e. at these as well."""


def render_json(document: dict[str, Any]) -> bytes:
    """One line of JSON without any character that any client takes for a line break."""
    rendered = orjson.dumps(document, default=str)
    for raw, escaped in _LINE_BREAKS:
        rendered = rendered.replace(raw, escaped)
    return rendered


def failed_scanners(error: GatewayError) -> str:
    """Names of the scanners behind a refusal, e.g. `ban_substrings,secrets`; empty for others."""
    if not isinstance(error, BlockedError | GuardError):
        return ""
    return ",".join(result.scanner for result in error.verdict.failed)
