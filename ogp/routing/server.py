"""The servers as the configuration names them."""

from dataclasses import dataclass

from ogp.core.types import Route
from ogp.settings.schema import Settings

ONLY_SERVER = "ollama"
"""Name of the server of `upstream.url`."""


@dataclass(frozen=True, slots=True)
class Server:
    """One Ollama server."""

    name: str
    url: str
    """Base URL without a trailing slash."""
    priority: int = 1
    """The lower number is preferred."""
    max_memory_gb: float | None = None
    """Largest model it takes, in units of 10^9 bytes; None takes any."""
    weight: float = 1.0
    parallel: int | None = None
    """Requests at once beyond which others are preferred; None has no such number."""
    enabled: bool = True
    """Whether it takes requests from the start."""
    tags: tuple[str, ...] = ()
    place: int = 0
    """In the configuration; decides between equals."""

    @property
    def route(self) -> Route:
        """What a request is sent by."""
        return Route(self.name, self.url)


def servers_of(settings: Settings) -> tuple[Server, ...]:
    """All servers, in the order of the configuration."""
    if not settings.servers:
        return (Server(ONLY_SERVER, without_credentials(settings.upstream.url.rstrip("/"))),)
    return tuple(
        Server(
            name=name,
            url=without_credentials(entry.address),
            priority=entry.priority,
            max_memory_gb=entry.max_memory_gb,
            weight=entry.weight,
            parallel=entry.parallel,
            enabled=entry.enabled,
            tags=entry.tags,
            place=place,
        )
        for place, (name, entry) in enumerate(settings.servers.items())
    )


def without_credentials(url: str) -> str:
    """The address alone: probes would send a user name and password that stand in it."""
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest.rpartition("@")[2]
