"""One request on its way to its handler, and what handlers may use."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

from ogp.demo.connection import RequestHead
from ogp.demo.generation import Engine
from ogp.demo.gojson import Struct
from ogp.demo.models import Behaviour, InstalledModel, Library, full_name, parse_name
from ogp.demo.ollama_forms import ollama_refusal
from ogp.demo.reply import Reply


class RefusedError(Exception):
    """A refusal in Ollama's words."""

    def __init__(self, status: int, message: str) -> None:
        """Keep the status; the message becomes `error`."""
        super().__init__(message)
        self.status = status
        self.message = message


class Loaded:
    """The models in memory, for `/api/ps`. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()  # guards the one below
        self._models: dict[str, InstalledModel] = {}

    def load(self, model: InstalledModel) -> None:
        """Note that a model was used."""
        with self._lock:
            self._models[model.name] = model

    def unload(self, name: str) -> None:
        """Note that a model was thrown out."""
        with self._lock:
            self._models.pop(full_name(name), None)

    def listed(self) -> list[InstalledModel]:
        """What is loaded now."""
        with self._lock:
            return list(self._models.values())


@dataclass(frozen=True, slots=True)
class World:
    """What outlives a request."""

    library: Library
    loaded: Loaded
    blobs: set[str]
    """Digests of blobs that were uploaded."""
    engine: Engine

    def model(self, name: str, *, missing: str = "model '{}' not found") -> InstalledModel:
        """Find and load a model.

        Args:
            name: as the request gave it.
            missing: the refusal's words.

        Raises:
            RefusedError: 404, there is none.
        """
        model = self.library.find(name) if name else None
        if model is None:
            raise RefusedError(404, missing.format(name))
        self.loaded.load(model)
        return model

    def behaviour(self, name: str) -> Behaviour:
        """What the model's name asks for; ordinary names behave like `demo`."""
        return parse_name(full_name(name)) or Behaviour()


@dataclass(frozen=True, slots=True)
class Call:
    """One request whose body was read and bound."""

    world: World
    reply: Reply
    head: RequestHead
    path: str
    argument: str
    """The variable part of the path, e.g. a digest."""
    document: dict[str, Any]
    body: Iterator[bytes]
    """Pieces of a body that was not bound, for blobs; else empty."""


Handler = Callable[[Call], None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route."""

    method: str
    path: str
    """Ends with `*` where a variable part follows."""
    handler: Handler
    shape: Struct | None = None
    """How the body is bound; None leaves it unread to the handler."""
    generates: bool = False
    """Scripts of a model apply here."""
    refusal: Callable[[int, str], Any] = ollama_refusal
    """How an error is written down."""
