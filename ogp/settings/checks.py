"""What the types of the schema cannot say: values that are well formed and still wrong."""

import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ogp.core.types import Role
from ogp.settings.guard_schema import RegexSettings
from ogp.settings.keys import all_keys
from ogp.settings.name_pattern import NamePattern
from ogp.settings.queue_schema import QueueSettings
from ogp.settings.redact import shown_value
from ogp.settings.routing_schema import SERVER_NAME
from ogp.settings.schema import DEFAULT_URL, Settings

GUARDED_PREFIXES = ("/api", "/v1", "/admin")
RESTRICTED_FIELDS = (
    "context",
    "raw",
    "template",
    "debug_render",
    "cloud_model",
    "web_search",
    "mcp_servers",
    "audio",
    "documents",
)
MAX_PHRASE_CHARS = 200
EVERY_SERVER = "all"
"""Stands for all servers where one may be named, so that none may be called so."""
ONLY_SERVER = ("ollama",)
"""What the server of `upstream.url` is called."""
PLAIN_HOST = re.compile(r"[A-Za-z0-9_.:%-]+")


def mistakes(settings: Settings) -> Iterator[tuple[str, str]]:
    """Key and sentence of each value that cannot work."""
    yield from _url("upstream.url", settings.upstream.url)
    yield from _servers(settings)
    yield from _routing(settings)
    yield from _places(settings)
    yield from _access(settings)
    yield from _queue(settings.queue)
    for direction in ("input", "output"):
        scanners = getattr(settings.guard, f"{direction}_scanners")
        prefix = f"guard.{direction}_scanners"
        yield from _patterns(f"{prefix}.regex.patterns", scanners.regex)
        if any(len(phrase) > MAX_PHRASE_CHARS for phrase in scanners.ban_substrings.substrings):
            message = f"each phrase may have at most {MAX_PHRASE_CHARS} characters"
            yield f"{prefix}.ban_substrings.substrings", message


def _url(key: str, url: str) -> Iterator[tuple[str, str]]:
    right = "must look like http://HOST:PORT"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield key, f"{right}, with a port from 1 to 65535"
        return
    if parts.scheme not in ("http", "https"):
        yield key, right
    elif not parts.hostname or re.search(r"\s", url):
        yield key, f"{right}, without blanks"
    elif port == 0:
        yield key, f"{right}, with a port from 1 to 65535"
    elif parts.path.strip("/") or parts.query or parts.fragment:
        yield key, f"{right}, with nothing behind the port"


def _servers(settings: Settings) -> Iterator[tuple[str, str]]:
    """Names, addresses, and that nothing is said twice."""
    places: dict[str, str] = {}
    if settings.servers and settings.upstream.url.rstrip("/") != DEFAULT_URL:
        yield "upstream.url", "servers are given as well; keep one of the two"
    for name, server in settings.servers.items():
        if not SERVER_NAME.fullmatch(name) or name == EVERY_SERVER:
            message = (
                "names of servers are 1 to 64 of the characters A-Z a-z 0-9 _ . -, a letter or "
                f"digit first, and not {EVERY_SERVER}"
            )
            yield "servers", message
            continue
        if server.name not in (None, name):
            yield "servers", f"{name} is called {server.name!r} inside; keep one of the names"
        if server.host is not None and not PLAIN_HOST.fullmatch(server.host):
            yield "servers", f"{name}: host must be an address or a name alone"
        else:
            yield from ((key, f"{name}: {text}") for key, text in _url("servers", server.address))
        other = places.setdefault(server.address, name)
        if other != name:
            yield "servers", f"{name} and {other} have the same address"


def _routing(settings: Settings) -> Iterator[tuple[str, str]]:
    """Names and patterns of models."""
    routing = settings.routing
    for key, names in (
        ("routing.assignments", list(routing.assignments)),
        ("routing.memory_patterns", [entry.pattern for entry in routing.memory_patterns]),
    ):
        for name in names:
            try:
                NamePattern(name)
            except ValueError as error:
                yield key, f"{shown_value(key, name)} {error}"


def _places(settings: Settings) -> Iterator[tuple[str, str]]:
    host = settings.server.host
    if re.search(r"[\s/@\[\]]", host) or host.count(":") == 1:
        yield "server.host", "must be an address or a name alone; the port is server.port"
    for name in (name for name, key in all_keys().items() if Path in key.types):
        path: Any = reduce(getattr, name.split("."), settings)
        if path is not None and str(path).startswith("~"):
            yield name, "write the path in full: ~ has no meaning here"


def _access(settings: Settings) -> Iterator[tuple[str, str]]:
    for path in settings.access.public_paths:
        first = "/" + path.lstrip("/").split("/", 1)[0].lower()
        if not path.startswith("/") or first in GUARDED_PREFIXES:
            message = f"{path!r} cannot be public: name own endpoints such as /queue/stats"
            yield "access.public_paths", message
    for name in settings.access.allow_restricted_fields:
        if name not in RESTRICTED_FIELDS:
            message = f"{name!r} is none of {', '.join(RESTRICTED_FIELDS)}"
            yield "access.allow_restricted_fields", message


def _queue(settings: QueueSettings) -> Iterator[tuple[str, str]]:
    if settings.learned_min > settings.learned_max:
        least, most = settings.learned_min, settings.learned_max
        yield "queue.learned_min", f"{least} is more than queue.learned_max, which is {most}"
    roles = [("queue.priority_roles", role) for role in settings.priority_roles]
    roles += [("queue.weights", role) for rule in settings.weights for role in rule.roles]
    for name, role in roles:
        if role not in set(Role):
            yield name, f"{role!r} is no role; there are {', '.join(Role)}"


def _patterns(key: str, settings: RegexSettings) -> Iterator[tuple[str, str]]:
    for pattern in settings.patterns:
        try:
            re.compile(pattern.pattern)
        except (re.error, OverflowError, RecursionError) as error:
            yield key, f"pattern {pattern.name!r} is no regular expression: {error}"


def notices(settings: Settings) -> Iterator[str]:
    """Combinations that work but are probably not what was meant."""
    access = settings.access
    if (access.ip_allow or access.ip_deny) and not access.ip_filter_enabled:
        yield (
            "access.ip_allow or access.ip_deny is set, but access.ip_filter_enabled is false: "
            "no address is refused"
        )
    if access.ip_filter_enabled and not (access.ip_allow or access.ip_deny):
        yield (
            "access.ip_filter_enabled is true, but access.ip_allow and access.ip_deny are empty: "
            "no address is refused"
        )
    if "@" in urlsplit(settings.upstream.url).netloc:
        yield "upstream.url holds a user name or password: neither is sent to the server"
    for name, entry in settings.servers.items():
        if "@" in urlsplit(entry.address).netloc:
            yield f"servers.{name}.url holds a user name or password: neither is sent to the server"
    for model, server in settings.routing.assignments.items():
        if server not in (settings.servers or ONLY_SERVER):
            yield (
                f"routing.assignments: {shown_value('', model)} is assigned to "
                f"{shown_value('', server)}, and there is no such server: its requests are refused"
            )
    if settings.cache.enabled and settings.cache.backend == "redis":
        yield "cache.backend is redis: not built yet, verdicts are kept in memory"
    if not settings.auth.enabled:
        yield "auth.enabled is false: everybody on this machine may use the proxy without a token"
