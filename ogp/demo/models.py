"""What a model's name says about how it behaves, and which models there are."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Literal

Fault = Literal[
    "",
    "hang-prefill",
    "hang-decode",
    "cut",
    "cut-head",
    "cut-json",
    "reset",
    "garbage",
    "garbage-json",
    "error",
    "error-busy",
    "error-in-stream",
    "header-drip",
    "huge",
]

CATALOGUE = (
    "demo:latest",
    "demo:slow",
    "demo:fast",
    "demo-tokens-40-10ms:latest",
    "hang-prefill:latest",
    "hang-decode:latest",
    "cut:latest",
    "cut-head:latest",
    "cut-json:latest",
    "reset:latest",
    "garbage:latest",
    "garbage-json:latest",
    "error-500:latest",
    "error-busy:latest",
    "error-in-stream:latest",
    "header-drip:latest",
    "huge:latest",
)
"""Listed from the start. Any other name of the grammar is installed as well, though not listed."""

DEFAULT_SIZE_BYTES = 1_000_000_000
_TAGS = {"latest": None, "slow": (2.0, 0.2), "fast": (0.0, 0.0)}
_DRIP_S = 0.1
_NAME = re.compile(
    r"(?P<base>demo|hang-prefill|hang-decode|cut-head|cut-json|cut|reset|garbage-json|garbage"
    r"|error-busy|error-in-stream|error-(?P<status>[45]\d\d)|header-drip|huge)"
    r"(?P<options>(?:-(?:tokens-\d{1,6}|after-\d{1,6}|first-\d{1,7}ms|\d{1,7}ms))*)"
    r"(?::(?P<tag>latest|slow|fast))?"
)
_OPTION = re.compile(r"-(?:(tokens|after|first)-)?(\d+)(?:ms)?")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a model answers. None leaves the choice to the server's defaults."""

    fault: Fault = ""
    status: int = 500
    """Of `error-NNN`."""
    tokens: int | None = None
    """Length of the answer."""
    after: int = 3
    """Tokens sent before a fault in the stream."""
    first_byte_s: float | None = None
    interval_s: float | None = None


def parse_name(name: str) -> Behaviour | None:
    """Read a name of the grammar in `docs/demo.md`; None for any other name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    base, status = match["base"], match["status"]
    fault = "error" if status else "" if base == "demo" else base
    options = {kind: int(number) for kind, number in _OPTION.findall(match["options"])}
    timing = _TAGS[match["tag"] or "latest"] or (None, _DRIP_S if fault == "header-drip" else None)
    return Behaviour(
        fault=fault,  # type: ignore[arg-type]  # the pattern lists no other name
        status=int(status or 500),
        tokens=options.get("tokens", 80 if fault == "huge" else None),
        after=options.get("after", 3),
        first_byte_s=options["first"] / 1e3 if "first" in options else timing[0],
        interval_s=options[""] / 1e3 if "" in options else timing[1],
    )


def full_name(name: str) -> str:
    """Add `:latest` to a name without a tag; Ollama compares names whatever their case."""
    name = name.lower()
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def short_name(name: str) -> str:
    """The name without `:latest`, under which figures are kept."""
    return name.lower().removesuffix(":latest")


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """One entry of `/api/tags`."""

    name: str
    size_bytes: int

    @property
    def digest(self) -> str:
        """SHA-256 in hexadecimal; made from the name, there are no weights."""
        return sha256(self.name.encode()).hexdigest()


class Library:
    """The models that are installed. Thread-safe."""

    def __init__(self, names: Iterable[str]) -> None:
        self._lock = Lock()  # guards the two below
        self._deleted: set[str] = set()
        self._models: dict[str, InstalledModel] = {}
        for name in (*CATALOGUE, *names):
            self.install(name)

    def install(self, name: str, size_bytes: int = DEFAULT_SIZE_BYTES) -> InstalledModel:
        """Add a model, or give it another size."""
        model = InstalledModel(full_name(name), size_bytes)
        with self._lock:
            self._models[model.name] = model
            self._deleted.discard(model.name)
        return model

    def ensure(self, name: str) -> None:
        """Add a model unless there is one of that name."""
        if self.find(name) is None:
            self.install(name)

    def delete(self, name: str) -> bool:
        """Remove a model; False when there is none."""
        if self.find(name) is None:
            return False
        with self._lock:
            self._models.pop(full_name(name), None)
            self._deleted.add(full_name(name))
        return True

    def find(self, name: str) -> InstalledModel | None:
        """The model of that name, whether listed or only of the grammar."""
        full = full_name(name)
        with self._lock:
            if full in self._models:
                return self._models[full]
            known = full not in self._deleted and parse_name(full) is not None
        return InstalledModel(full, DEFAULT_SIZE_BYTES) if known else None

    def listed(self) -> list[InstalledModel]:
        """All entries of `/api/tags`, in the order of installation."""
        with self._lock:
            return list(self._models.values())
