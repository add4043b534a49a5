"""The sections `servers:` and `routing:` of config.yaml."""

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ogp.settings.section import AtLeastOne, Positive, Section, Words

SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
DEFAULT_PORT = 11434
Gigabytes = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]


class ServerEntry(Section):
    """An Ollama server, an entry of `servers` under its name."""

    host: str | None = None
    """Address or name; null where `url` says it."""
    port: Annotated[int, Field(ge=1, le=65535)] = DEFAULT_PORT
    """TCP port, beside `host`."""
    url: str | None = None
    """Base URL, http or https, instead of `host` and `port`."""
    name: str | None = None
    """The same as its key, where it is given."""
    priority: int = 1
    """The lower number is preferred."""
    max_memory_gb: Gigabytes | None = None
    """Largest model it takes, in units of 10^9 bytes; null: any."""
    enabled: bool = True
    """Whether it takes requests from the start."""
    weight: Annotated[float, Field(ge=0.01, le=1000)] = 1.0
    """Its share of the load, compared with the others'."""
    parallel: AtLeastOne | None = None
    """Requests at once beyond which others are preferred; null: no such number."""
    tags: Words = ()
    """Words for people; no rule reads them."""

    @model_validator(mode="after")
    def _one_address(self) -> "ServerEntry":
        if (self.host is None) == (self.url is None):
            raise ValueError("needs host, or else url")
        if self.url is not None and "port" in self.model_fields_set:
            raise ValueError("has url and port; the port belongs into the url")
        return self

    @property
    def address(self) -> str:
        """Base URL without a trailing slash."""
        if self.url is not None:
            return self.url.rstrip("/")
        host = f"[{self.host}]" if ":" in (self.host or "") else self.host
        return f"http://{host}:{self.port}"


class MemoryPattern(Section):
    """Memory of some models, an entry of `routing.memory_patterns`; the first that matches."""

    pattern: str
    """Name of models, `*` or `.*` for any text, `?` for any character."""
    memory_gb: Gigabytes
    """What such a model needs, in units of 10^9 bytes."""


class RoutingSettings(Section):
    """Which of the servers gets a request (`routing:`)."""

    strategy: Literal["priority_with_memory", "least_loaded", "round_robin", "resident_first"] = (
        "priority_with_memory"
    )
    """What counts most among servers that can take a request; see docs/routing.md."""
    assignments: Mapping[str, str] = {}
    """Model -> server, before all other rules; `*` stands for any text, e.g. `"qwen*": big`."""
    assignment_fallback: bool = False
    """Whether the other rules decide while the assigned server cannot take requests."""
    memory_overrides: Mapping[str, Gigabytes] = {}
    """Model -> memory in units of 10^9 bytes, where no server tells the size."""
    memory_patterns: tuple[MemoryPattern, ...] = ()
    """Memory by patterns of names, where neither a server nor an override tells it."""
    default_memory_gb: Gigabytes = 4.5
    """Memory of a model of which nothing is known, in units of 10^9 bytes."""
    cache_ttl_s: Positive = 3600.0
    """How long the last listing of a server counts that does not answer any more, in seconds."""
    listing_timeout_s: Positive = 10.0
    """Longest time a server may take to list its models, in seconds; asked in the background."""
    busy_threshold_ms: Positive = 1000.0
    """A server whose probes take longer comes after the others."""
