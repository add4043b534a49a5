"""What may be shown of the settings: secrets replaced, and the view that `/config` gives out."""

import json
import re
from collections.abc import Mapping
from typing import Any

from ogp.settings.keys import all_keys, is_network
from ogp.settings.schema import Settings

HIDDEN = "***"
SECRET_NAME = re.compile(
    r"(^|[._-])(pass(word|wd|phrase)?|secret|token|credentials?|authorization|api_?key|private_?key)$",
    re.IGNORECASE,
)
URL_CREDENTIALS = re.compile(r"(?<=://)\S*@")
"""Up to the last @, as passwords may hold anything, also what no URL may."""
ADDRESS_NAME = re.compile(r"(url|host)$", re.IGNORECASE)
ADDRESS_CREDENTIALS = re.compile(r"^(.*://)?.*@", re.DOTALL)
MAX_SHOWN_CHARS = 80


def is_secret(name: str) -> bool:
    """Whether the last part of a key's name says that its value is a secret."""
    return SECRET_NAME.search(name) is not None


def mask_credentials(text: str) -> str:
    """`http://user:pass@host` -> `http://***@host`."""
    return URL_CREDENTIALS.sub(f"{HIDDEN}@", text)


def redact(settings: Settings, *, lists: bool = True) -> dict[str, Any]:
    """The settings as nested plain values that JSON can hold, secrets replaced by `***`.

    Args:
        settings: what is in force.
        lists: False replaces address lists, banned phrases and patterns by `{"count": N}`, for
            readers who are no administrators.
    """
    shown: dict[str, Any] = _hide("", settings.model_dump(mode="json", by_alias=True))
    if not lists:
        for key in all_keys().values():
            if key.item is not None and (key.name.startswith("guard.") or is_network(key.item)):
                _count(shown, key.name)
    return shown


def _count(shown: dict[str, Any], name: str) -> None:
    *sections, last = name.split(".")
    for section in sections:
        shown = shown[section]
    shown[last] = {"count": len(shown[last])}


def _hide(name: str, value: Any) -> Any:
    if is_secret(name) and value not in (None, ""):
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: _hide(key, below) for key, below in value.items()}
    if isinstance(value, list):
        return [_hide(name, item) for item in value]
    return mask_credentials(value) if isinstance(value, str) else value


def shown_value(name: str, value: Any) -> str:
    """A value for an error message: one printable line, short, without secrets."""
    if is_secret(name):
        return HIDDEN
    if isinstance(value, Mapping):
        return "{...}"
    if isinstance(value, list | tuple):
        text = ", ".join(shown_value(name, item) for item in value) or "[]"
    elif isinstance(value, bool) or value is None:
        text = json.dumps(value)
    elif ADDRESS_NAME.search(name):
        text = ADDRESS_CREDENTIALS.sub(rf"\g<1>{HIDDEN}@", str(value))  # the scheme may be missing
    else:
        text = mask_credentials(str(value))
    if not text.isprintable() or not text:
        text = json.dumps(text)
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[: MAX_SHOWN_CHARS - 3]}..."


def legacy_view(settings: Settings) -> dict[str, Any]:
    """The flat fields that `GET /config` has under the names of the earlier implementation.

    Of several servers, `ollama_url` is the first.
    """
    urls = [entry.address for entry in settings.servers.values()]
    return {
        "ollama_url": mask_credentials(urls[0] if urls else settings.upstream.url),
        "ollama_path": "/api/generate",
        "proxy_host": settings.server.host,
        "proxy_port": settings.server.port,
        "enable_input_guard": settings.guard.input_enabled,
        "enable_output_guard": settings.guard.output_enabled,
        "block_on_guard_error": settings.guard.block_on_error,
        "nginx_whitelist": {
            "enabled": bool(settings.access.trusted_proxies),
            "count": len(settings.access.trusted_proxies),
        },
    }
