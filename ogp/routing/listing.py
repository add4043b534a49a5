"""What one server says it has: its installed models, and those in its memory."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson
import requests

from ogp.core.types import canonical_model

MAX_BYTES = 16 * 1024 * 1024
"""A longer listing is none; 10,000 models take about 5 MB."""
MAX_MODELS = 20_000
NAME = re.compile(r"[!-~]{1,512}")


class ListingError(Exception):
    """The server's answer is no listing; the text says why, without the answer."""


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as a server lists it."""

    size_bytes: int | None
    """None where the server does not say it."""
    entry: Mapping[str, Any] = field(hash=False, compare=False)
    """The server's own words, for the merged listing."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The models of one server, by canonical name."""

    installed: Mapping[str, ListedModel] = field(default_factory=lambda: MappingProxyType({}))
    resident: Mapping[str, ListedModel] = field(default_factory=lambda: MappingProxyType({}))
    """In memory now."""


def fetch_listing(session: requests.Session, url: str, *, timeout_s: float) -> Listing:
    """Ask a server for both.

    Args:
        timeout_s: longest wait for a piece of an answer, in seconds.

    Raises:
        ListingError, requests.RequestException: there is none to be had.
    """
    installed = _models(session, f"{url}/api/tags", timeout_s)
    return Listing(installed, _models(session, f"{url}/api/ps", timeout_s))


def _models(session: requests.Session, url: str, timeout_s: float) -> Mapping[str, ListedModel]:
    with session.get(url, timeout=timeout_s, allow_redirects=False, stream=True) as answer:
        if answer.status_code != 200:
            raise ListingError(f"status_{answer.status_code}")
        body = b""
        for piece in answer.iter_content(65536):
            body += piece
            if len(body) > MAX_BYTES:
                raise ListingError("too_long")
    try:
        return read_models(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise ListingError("no_json") from error


def read_models(document: Any) -> Mapping[str, ListedModel]:
    """The entries of `models`; those that make no sense are left out.

    Raises:
        ListingError: there is no such list, or it is endless.
    """
    entries = document.get("models") if isinstance(document, dict) else None
    if entries is None and isinstance(document, dict) and "models" in document:
        entries = []  # Go writes an empty list as null
    if not isinstance(entries, list) or len(entries) > MAX_MODELS:
        raise ListingError("no_listing")
    found: dict[str, ListedModel] = {}
    for entry in entries:
        name = _name(entry)
        if name is not None:
            found.setdefault(canonical_model(name), ListedModel(_size(entry), entry))
    return MappingProxyType(found)


def _name(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return None
    name = entry.get("name") or entry.get("model")
    return name if isinstance(name, str) and NAME.fullmatch(name) else None


def _size(entry: Mapping[str, Any]) -> int | None:
    size = entry.get("size")
    return size if type(size) is int and size > 0 else None
