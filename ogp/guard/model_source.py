"""One model on its way into the process: loading, there, or why not. Scanners ask it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import TIMEOUT_MAX, Event, Lock
from typing import Literal

from ogp.core.clock import Clock
from ogp.guard.model import (
    LoadModel,
    Model,
    ModelUnavailableError,
    ScannerBusyError,
    ScannerFailedError,
)

WARM_UP_TEXT = "What would be a good name for a small sailing boat?"


@dataclass(frozen=True, slots=True)
class SourceState:
    """Where loading stands."""

    word: Literal["loading", "ready", "failed"]
    reason: str = ""
    model: Model | None = None
    facts: tuple[tuple[str, str | int], ...] = ()
    """What the model says of itself."""


class ModelSource:
    """Loads a model once, for all scanners that judge by it. Thread-safe."""

    def __init__(self, what: str, load_model: LoadModel, clock: Clock) -> None:
        """Keep the parts; nothing is loaded yet.

        Args:
            what: names the scanner for the log, as fields.
            load_model: called once, by `load`.
            clock: of the deadlines.
        """
        self._what, self._load_model, self._clock = what, load_model, clock
        self._decided = Event()
        self.state = SourceState("loading")
        self._lock = Lock()  # guards the counts
        self._scans = self._errors = 0
        self._failing = False

    @property
    def is_failing(self) -> bool:
        """Whether the model is there and its last scan failed."""
        return self._failing and self.state.word == "ready"

    def note(self, *, failed: bool) -> None:
        """Count a scan."""
        with self._lock:
            self._scans += 1
            self._errors += failed
            self._failing = failed

    def counts(self) -> dict[str, int]:
        """Scans so far, and how many of them failed."""
        with self._lock:
            return {"scans": self._scans, "errors": self._errors}

    def load(self, try_out: Callable[[Model], None]) -> None:
        """Load it and try it out; call it once. What goes wrong is kept as the state.

        Args:
            try_out: raises if the model is of no use.
        """
        log = logging.getLogger(__name__)
        state = self._loaded(try_out)
        if state.model is None:
            log.error("guard model failed: %s reason=%s", self._what, state.reason)
        else:
            log.info("guard model ready: %s", self._what)
        self.state = state
        self._decided.set()

    def model(self, deadline: float) -> Model:
        """The model; waits for it until the deadline, on the monotonic clock.

        Raises:
            ModelUnavailableError: loading failed.
            ScannerBusyError: the time was not enough.
        """
        left_s = max(0.0, deadline - self._clock.monotonic())
        if not self._decided.wait(min(left_s, TIMEOUT_MAX)):
            raise ScannerBusyError("still loading")
        if self.state.model is None:
            raise ModelUnavailableError(self.state.reason)
        return self.state.model

    def _loaded(self, try_out: Callable[[Model], None]) -> SourceState:
        try:
            model = self._load_model()
            try_out(model)
            facts = tuple(sorted(model.describe().items()))
        except ModelUnavailableError as error:
            return SourceState("failed", str(error))
        except ScannerFailedError as error:
            return SourceState("failed", f"fails on a plain sentence: {error}")
        except BaseException as error:  # noqa: BLE001 - kept as the state; Rust code panics so
            return SourceState("failed", f"cannot be loaded: {type(error).__name__}")
        return SourceState("ready", model=model, facts=facts)
