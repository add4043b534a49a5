"""The scripts that are set, by model or by path."""

from collections import deque
from collections.abc import Sequence
from threading import Lock

from ogp.demo.models import Library, full_name
from ogp.demo.script import Script


class Scripts:
    """Hands out scripts, one per request; the last of a series stays. Thread-safe."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._lock = Lock()  # guards the one below
        self._series: dict[str, deque[Script]] = {}

    def put(self, target: str, scripts: Sequence[Script]) -> None:
        """Set, or with none take away, the scripts of a model or of a path."""
        is_path = target.startswith("/")
        if not is_path and scripts:
            self._library.ensure(target)
        key = target if is_path else full_name(target)
        with self._lock:
            if scripts:
                self._series[key] = deque(scripts)
            else:
                self._series.pop(key, None)

    def clear(self) -> None:
        """Take all away."""
        with self._lock:
            self._series.clear()

    def for_path(self, path: str) -> Script | None:
        """The next script of a path."""
        return self._next(path)

    def for_model(self, name: str) -> Script | None:
        """The next script of a model."""
        return self._next(full_name(name)) if name else None

    def counts(self) -> dict[str, int]:
        """How many scripts each target still has."""
        with self._lock:
            return {target: len(series) for target, series in self._series.items()}

    def _next(self, key: str) -> Script | None:
        with self._lock:
            series = self._series.get(key)
            if not series:
                return None
            return series.popleft() if len(series) > 1 else series[0]
