"""Both guards and what they share: the pool, the models in it, the verdict cache."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TypedDict

from ogp.core.clock import Clock
from ogp.dialects.base import Dialect
from ogp.guard.anonymize import build_anonymizer
from ogp.guard.anonymize_rule import why_off
from ogp.guard.cache import build_cache, describe_cache
from ogp.guard.canaries import Canaries
from ogp.guard.canary_plan import Tried, canary_plan, tried_builtins
from ogp.guard.device import Device, choose_device
from ogp.guard.model import LoadModel, Model, ModelUnavailableError
from ogp.guard.model_scanner import ModelScanner
from ogp.guard.normalise import Normaliser
from ogp.guard.offline import go_offline
from ogp.guard.overrides import check_overrides
from ogp.guard.pool import ScannerPool
from ogp.guard.scanners import input_scanners, output_scanners
from ogp.guard.variants import build_input_variants, build_output_variants
from ogp.guard.wanted import Direction, Wanted, rule_for, wanted_scanners
from ogp.settings.guard_schema import GuardSettings, ModelsSettings
from ogp.settings.schema import Settings

GPUS = ("cuda", "mps")
NO_DEVICE = {"device": "none", "reason": "no model scanner is on", "precision": "none"}
PENDING_DEVICE = {"device": "unknown", "reason": "chosen when models load", "precision": "unknown"}
UNUSED_DEVICE = Device("cpu", "no model of ours", "fp32")
"""For scanners that do not care: to choose one takes seconds."""
GPU_BATCH = 16
"""Windows in one pass: most of what batches gain on a GPU, at a small wait for the first."""
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

    def __init__(
        self, settings: Settings, clock: Clock, *, dialects: Sequence[Dialect] = ()
    ) -> None:
        """Put the scanners together; nothing is loaded.

        Args:
            settings: of everything.
            clock: of deadlines and caches.
            dialects: in which canaries speak.

        Raises:
            ValueError: a phrase, a pattern or a scanner's parameter cannot be used; names it and
                says what would be right.
        """
        self._settings, self._clock = settings.guard, clock
        guard = settings.guard
        self._cores_each = max(1, (os.cpu_count() or 1) // settings.server.workers)
        self._pool = ScannerPool(
            **pool_sizes(guard.models, self._cores_each, on_gpu=False),
            max_pending=guard.models.max_pending,
            clock=clock,
        )
        self._device = DeviceChoice(guard)
        self._loaded: dict[Path, Model] = {}
        self._off: dict[Direction, dict[str, dict[str, str]]] = {"input": {}, "output": {}}
        self._models: list[tuple[Wanted, ModelScanner, Direction]] = []
        self._finder = build_anonymizer(guard, self._pool, clock, self._device)
        if self._finder is None:
            off = {"state": "off", "direction": "input", "reason": why_off(guard)}
            self._off["input"]["anonymize"] = off
        self.cache = build_cache(settings.cache, clock)
        on_input = self._model_scanners("input", enabled=guard.input_enabled)
        on_output = self._model_scanners("output", enabled=guard.output_enabled)
        finders = () if self._finder is None else (self._finder,)
        self.input = build_input_variants(guard, self.cache, on_input, finders)
        self.output = build_output_variants(guard, self.cache, on_output)
        self.canaries = Canaries(
            canary_plan(self._tried()),
            dialects,
            window_chars=guard.output_window_chars,
            interval_s=guard.canary_interval_s,
            clock=clock,
        )
        check_overrides(guard.overrides, self.describe())

    def start(self) -> None:
        """Begin to load models, if any is on; returns at once."""
        self.canaries.start()
        if not self._uses_pool:
            self.canaries.release()
            return
        self._pool.start()
        if self._finder is not None:
            self._finder.begin()
        for _, scanner, _ in sorted(self._models, key=lambda each: each[0].kind == "custom"):
            scanner.begin()  # foreign code last: the others do not wait for an import that hangs
        self._pool.run_background(self.canaries.release)  # when all have been tried

    def stop(self) -> None:
        """End the pool; scans that wait are refused."""
        if self._uses_pool:
            self._pool.stop()
        self.canaries.stop()

    def obstacles(self) -> list[str]:
        """What keeps requests waiting; for `/ready`."""
        loading = [scanner.obstacle() for _, scanner, _ in self._models]
        if self._finder is not None:
            loading.insert(0, self._finder.obstacle())
        return [text for text in loading if text is not None]

    def problems(self) -> list[str]:
        """What is asked for and not there, and what canaries missed; for `/health`."""
        words = {"failed": "cannot be loaded", "failing": "fails"}
        failed = [
            f"guard scanner {name} ({direction}) {words[str(shown['state'])]}"
            for direction, scanners in self.describe().items()
            for name, shown in scanners.items()
            if shown["state"] in words
        ]
        return [*failed, *(f"guard canary {missed}" for missed in self.canaries.missed())]

    def describe(self) -> dict[Direction, dict[str, Mapping[str, int | str]]]:
        """Every scanner by direction and name."""
        return {
            "input": {**self._off["input"], **self.input.describe()},
            "output": {**self._off["output"], **self.output.describe()},
        }

    def configurations(self) -> Mapping[str, str]:
        """What verdicts were given with: id -> JSON, without phrases and patterns."""
        return {**self.input.configurations(), **self.output.configurations()}

    def describe_device(self) -> Mapping[str, str]:
        """Where models run, and why there."""
        needed = self._finder or any(each.kind != "custom" for each, _, _ in self._models)
        return self._device.describe() if needed else NO_DEVICE

    def describe_cache(self) -> Mapping[str, bool | str | int | float]:
        """The verdict cache."""
        return describe_cache(self.cache)

    @property
    def _uses_pool(self) -> bool:
        return bool(self._models) or self._finder is not None

    def _model_scanners(self, direction: Direction, *, enabled: bool) -> list[ModelScanner]:
        scanners = []
        for wanted in wanted_scanners(self._settings, direction):
            off = self._off[direction][wanted.name] = {"state": "off", "direction": direction}
            missing = wanted.missing() if wanted.enabled == "auto" else ""
            if missing:
                off["reason"] = f"{shortened(missing, wanted)}; {HOW_TO_BRING}"
            elif enabled and wanted.enabled is not False:
                scanner = self._scanner(wanted, direction)
                scanners.append(scanner)
                self._models.append((wanted, scanner, direction))
        return scanners

    def _tried(self) -> Iterator[Tried]:
        """What is on, for canaries."""
        guard, normaliser = self._settings, Normaliser()
        yield from tried_builtins(guard, "input", input_scanners(guard, normaliser))
        yield from tried_builtins(guard, "output", output_scanners(guard, normaliser))
        for wanted, scanner, direction in self._models:
            yield Tried(direction, scanner, wanted.kind, wanted.parameters)

    def _scanner(self, wanted: Wanted, direction: Direction) -> ModelScanner:
        rule = rule_for(wanted, self._settings, direction)
        return ModelScanner(rule, self._loader(wanted), self._pool, self._clock)

    def _loader(self, wanted: Wanted) -> LoadModel:
        """Load a directory once, whichever directions use it; models load one after the other."""

        def load() -> Model:
            model = None if wanted.shared is None else self._loaded.get(wanted.shared)
            if model is None:
                device = UNUSED_DEVICE if wanted.kind == "custom" else self._device()
                try:
                    model = wanted.load(device)
                except ModelUnavailableError as error:
                    raise ModelUnavailableError(shortened(str(error), wanted)) from error
                if model.describe().get("device") in GPUS:
                    sizes = pool_sizes(self._settings.models, self._cores_each, on_gpu=True)
                    self._pool.resize(**sizes)
            if wanted.shared is not None:
                self._loaded[wanted.shared] = model
            return model

        return load


class PoolSizes(TypedDict):
    """What `ScannerPool` is made with."""

    threads: int
    batch: int


def pool_sizes(models: ModelsSettings, cores: int, *, on_gpu: bool) -> PoolSizes:
    """Threads and windows in one pass.

    Args:
        models: numbers that are given there count.
        cores: for this process.
        on_gpu: a model computes on one: then one thread feeds it, in batches.
    """
    threads = (1 if on_gpu else cores) if models.threads == "auto" else models.threads
    batch = (GPU_BATCH if on_gpu else 1) if models.batch == "auto" else models.batch
    return PoolSizes(threads=threads, batch=batch)


def shortened(reason: str, wanted: Wanted) -> str:
    """Without the way to the weights: `/health` is public."""
    directory = wanted.directory
    if directory is None or not directory.name:
        return reason
    return reason.replace(str(directory), directory.name)
