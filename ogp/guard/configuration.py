"""Which scanners judged a text: an id for the audit log, and what it stands for."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from math import isfinite
from threading import Lock
from typing import Any, Protocol

from ogp.guard.cache import CODE, Direction

ID_CHARS = 12
COUNTS = frozenset({"scans", "errors"})
MAX_KEPT = 256
"""Documents of one guard; there are a few, one for each state its models were in."""


class Part(Protocol):
    """What a guard consists of: a scanner, or a finder."""

    @property
    def name(self) -> str:
        """See `Scanner.name`."""
        ...

    def describe(self) -> Mapping[str, int | str]:
        """See `Scanner.describe`."""
        ...

    def identity(self) -> str:
        """See `Scanner.identity`."""
        ...


def configuration_id(direction: Direction, scanners: Sequence[Part]) -> str:
    """The id of scanners in their order as they are now; 12 hexadecimal digits. Cheap.

    It is the same in every process of one version of the proxy, and another when a setting changes
    or a model becomes ready.
    """
    return _id_of(direction, tuple([scanner.identity() for scanner in scanners]))


def describe_configuration(direction: Direction, scanners: Sequence[Part]) -> dict[str, Any]:
    """What the id stands for: versions, and every scanner in its order as `/health` shows it.

    No phrases and no patterns; `identity` tells whether those of two configurations are the same.
    """
    proxy, python, unicode_version = CODE
    return {
        "direction": direction,
        "versions": {"ogp": proxy, "python": python.split()[0], "unicode": unicode_version},
        "scanners": {scanner.name: _shown(scanner) for scanner in scanners},
    }


class Configurations:
    """The configurations in which one guard has judged. Thread-safe.

    It remembers what each id stood for, as a model may be ready before the audit row is written.
    """

    def __init__(self, direction: Direction, scanners: Sequence[Part]) -> None:
        """Keep the scanners and finders of a guard, in the order they are asked."""
        self._direction, self._scanners = direction, tuple(scanners)
        self._lock = Lock()  # guards changes of the documents; looking one up needs none
        self._documents: dict[str, str] = {}

    def current(self) -> str:
        """The id of the scanners as they are now; to be asked after a scan. Cheap."""
        now = configuration_id(self._direction, self._scanners)
        if now not in self._documents:
            self._note(now)
        return now

    def documents(self) -> Mapping[str, str]:
        """Id -> JSON, of every configuration that was current when somebody asked."""
        with self._lock:
            return dict(self._documents)

    def _note(self, new: str) -> None:
        # By json, not orjson: what scanners of operators say of themselves may be any number.
        document = json.dumps(describe_configuration(self._direction, self._scanners))
        if configuration_id(self._direction, self._scanners) != new:
            return  # a model came meanwhile, and the document might tell of it
        with self._lock:
            if len(self._documents) >= MAX_KEPT:
                self._documents.clear()
            self._documents[new] = document


@lru_cache(maxsize=MAX_KEPT)
def _id_of(direction: Direction, identities: tuple[str, ...]) -> str:
    return _digest(repr((*CODE, direction.value, *identities)))


def _shown(scanner: Part) -> dict[str, Any]:
    """As `/health` has it, but for what changes while the configuration stays."""
    shown: dict[str, Any] = {
        key: value for key, value in scanner.describe().items() if key not in COUNTS
    }
    if shown.get("state") == "failing":
        shown["state"] = "ready"
    with suppress(KeyError, ValueError):
        threshold = float(shown["threshold"])
        if isfinite(threshold):  # what is no number stays as it is
            shown["threshold"] = threshold
    return {**shown, "identity": _digest(scanner.identity())}


def _digest(text: str) -> str:
    return sha256(text.encode(errors="backslashreplace")).hexdigest()[:ID_CHARS]
