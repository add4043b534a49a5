"""Both guards and what they share: the pool, the models in it, the verdict cache."""

import os
from collections.abc import Mapping
from pathlib import Path
from threading import Lock

from ogp.core.clock import Clock
from ogp.guard.cache import build_cache, describe_cache
from ogp.guard.device import Device, choose_device
from ogp.guard.input import build_input_guard
from ogp.guard.model import LoadModel, Model
from ogp.guard.model_scanner import ModelScanner
from ogp.guard.offline import go_offline
from ogp.guard.output import build_output_guard
from ogp.guard.pool import ScannerPool
from ogp.guard.wanted import Direction, Wanted, rule_for, wanted_scanners
from ogp.settings.schema import GuardSettings, Settings

NO_DEVICE = {"device": "none", "reason": "no model scanner is on", "precision": "none"}
PENDING_DEVICE = {"device": "unknown", "reason": "chosen when models load", "precision": "unknown"}
HOW_TO_BRING = "scripts/download_models.sh brings weights, ./run_proxy.sh without --lite packages"


class DeviceChoice:
    """The device, chosen when the first model loads: asking torch takes seconds. Thread-safe."""

    def __init__(self, settings: GuardSettings) -> None:
        self._settings = settings
        self._lock = Lock()  # one thread asks; held while it does, by loading threads alone
        self._device: Device | None = None

    def __call__(self) -> Device:
        """The device; the first caller waits for torch."""
        with self._lock:
            if self._device is None:
                go_offline(self._settings.models.path)
                self._device = choose_device(
                    self._settings.models.device,
                    mps_fp16=os.environ.get("MPS_ENABLE_FP16", "true").lower() != "false",
                )
            return self._device

    def describe(self) -> Mapping[str, str]:
        """For `/health`; never waits."""
        device = self._device
        return PENDING_DEVICE if device is None else device.describe()


class GuardEngine:
    """Builds both guards; `start` begins to load models, after the fork. Thread-safe."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """Put the scanners together; nothing is loaded.

        Raises:
            ValueError: a phrase, a pattern or a scanner's parameter cannot be used; names it and
                says what would be right.
        """
        self._settings, self._clock = settings.guard, clock
        models = settings.guard.models
        cores_each = max(1, (os.cpu_count() or 1) // settings.server.workers)
        threads = cores_each if models.threads == "auto" else models.threads
        self._pool = ScannerPool(threads, max_pending=models.max_pending, clock=clock)
        self._device = DeviceChoice(settings.guard)
        self._loaded: dict[Path, Model] = {}
        self._off: dict[Direction, dict[str, dict[str, str]]] = {"input": {}, "output": {}}
        self.cache = build_cache(settings.cache, clock)
        on_input = self._model_scanners("input", enabled=settings.guard.input_enabled)
        on_output = self._model_scanners("output", enabled=settings.guard.output_enabled)
        self._models = (*on_input, *on_output)
        self.input = build_input_guard(settings.guard, self.cache, on_input)
        self.output = build_output_guard(settings.guard, self.cache, on_output)

    def start(self) -> None:
        """Begin to load models, if any is on; returns at once."""
        if self._models:
            self._pool.start()
            for scanner in self._models:
                scanner.begin()

    def stop(self) -> None:
        """End the pool; scans that wait are refused."""
        if self._models:
            self._pool.stop()

    def obstacles(self) -> list[str]:
        """What keeps requests waiting; for `/ready`."""
        return [text for scanner in self._models if (text := scanner.obstacle()) is not None]

    def problems(self) -> list[str]:
        """What is asked for and not there; for `/health`."""
        return [
            f"guard scanner {name} ({direction}) cannot be loaded"
            for direction, scanners in self.describe().items()
            for name, shown in scanners.items()
            if shown["state"] == "failed"
        ]

    def describe(self) -> dict[str, dict[str, Mapping[str, int | str]]]:
        """Every scanner by direction and name."""
        return {
            "input": {**self._off["input"], **self.input.describe()},
            "output": {**self._off["output"], **self.output.describe()},
        }

    def describe_device(self) -> Mapping[str, str]:
        """Where models run, and why there."""
        return self._device.describe() if self._models else NO_DEVICE

    def describe_cache(self) -> Mapping[str, bool | str | int | float]:
        """The verdict cache."""
        return describe_cache(self.cache)

    def _model_scanners(self, direction: Direction, *, enabled: bool) -> list[ModelScanner]:
        scanners = []
        for wanted in wanted_scanners(self._settings, direction):
            off = self._off[direction][wanted.name] = {"state": "off", "direction": direction}
            missing = wanted.missing() if wanted.enabled == "auto" else ""
            if missing:
                off["reason"] = f"{missing}; {HOW_TO_BRING}"
            elif enabled and wanted.enabled is not False:
                scanners.append(self._scanner(wanted, direction))
        return scanners

    def _scanner(self, wanted: Wanted, direction: Direction) -> ModelScanner:
        rule = rule_for(wanted, self._settings, direction)
        return ModelScanner(rule, self._loader(wanted), self._pool, self._clock)

    def _loader(self, wanted: Wanted) -> LoadModel:
        """Load a directory once, whichever directions use it; models load one after the other."""

        def load() -> Model:
            if wanted.shared is None:
                return wanted.load(self._device())
            model = self._loaded.get(wanted.shared)
            if model is None:
                model = self._loaded[wanted.shared] = wanted.load(self._device())
            return model

        return load
