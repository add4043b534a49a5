"""Scanners that operators bring: classes of their own packages, as models of `guard.model`.

Such a class has two methods beside its constructor, which gets the parameters of the settings:

    scan(text: str, prompt: str) -> float    the risk of a text, between 0 and 1
    describe() -> dict                       for `/health`; optional

`prompt` is what was asked where the text is an answer, else empty. `scan` is called by several
threads at once and should need less than `guard.models.timeout_s`. Nothing is imported before it
is loaded, and then beside the requests.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from importlib import import_module
from inspect import signature
from typing import Any

from ogp.core.errors import TooLargeError
from ogp.guard.model import ModelUnavailableError, ScannerFailedError, Score

MAX_CHARS = 1_000_000
"""Of one text; prompts are bounded before, by `limits.max_prompt_chars`."""
MAX_FACTS = 10
MAX_FACT_CHARS = 60
MAX_FACT = 2**53
"""Beyond it, JSON readers lose digits, and our writer refuses."""
OUR_FACTS = frozenset(
    {"state", "reason", "direction", "threshold", "action", "class", "settings"}
    | {"scans", "errors", "model", "precision", "device"}
)
"""Names that `/health` has for facts of ours."""


class CustomModel:
    """One object of such a class. Thread-safe as far as that is."""

    takes_batches = False

    def __init__(self, scan: Callable[[str, str], Any], facts: Mapping[str, str | int]) -> None:
        """Keep the parts; `load_custom` makes them."""
        self._scan, self._facts = scan, facts

    def windows(self, text: str) -> Sequence[str]:
        """The text itself; it is shown whole.

        Raises:
            TooLargeError: it is longer than `MAX_CHARS`.
        """
        if len(text) > MAX_CHARS:
            raise TooLargeError(
                f"The text is too long to be scanned: {len(text)} characters, at most {MAX_CHARS}."
            )
        return (text,) if text.strip() else ()

    def scores(self, windows: Sequence[tuple[str, str]]) -> Sequence[Score]:
        """The risk of each text.

        Raises:
            ScannerFailedError: `scan` raised or gave no number; says which, and nothing of a text.
        """
        return [Score(self._risk(text, prompt)) for text, prompt in windows]

    def judged_at(self, threshold: float) -> "CustomModel":  # noqa: ARG002 - it knows no threshold
        """Itself."""
        return self

    def describe(self) -> Mapping[str, str | int]:
        """What the class says of itself, its name, and a hash of its parameters."""
        return self._facts

    def _risk(self, text: str, prompt: str) -> float:
        try:
            risk = self._scan(text, prompt)
            if not isinstance(risk, bool) and hasattr(risk, "__float__"):
                return float(risk)
        except Exception as error:  # noqa: BLE001 - its message and traceback could hold the text
            failure = f"scan raised {type(error).__name__}"
        else:
            failure = f"scan gave {type(risk).__name__} instead of a number"
        raise ScannerFailedError(failure)


def load_custom(path: str, parameters: Mapping[str, Any]) -> CustomModel:
    """Import a class and make an object of it.

    Args:
        path: `package.module:Class`.
        parameters: what its constructor gets.

    Raises:
        ModelUnavailableError: names what is missing or wrong, without what the class said of it.
    """
    made = _made(_found(path), path, parameters)
    scan = getattr(made, "scan", None)
    if not callable(scan):
        raise ModelUnavailableError(f"{path} has no method scan")
    if not _takes_two(scan):
        raise ModelUnavailableError(f"{path}: scan must take a text and a prompt")
    settings = sha256(repr(sorted(parameters.items())).encode()).hexdigest()[:12]
    return CustomModel(scan, {**_facts(made, path), "class": path, "settings": settings})


def _found(path: str) -> type:
    module, _, name = path.partition(":")
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        raise ModelUnavailableError(f"{path}: there is no module {error.name}") from error
    except Exception as error:
        kind = type(error).__name__
        raise ModelUnavailableError(f"{path}: its module cannot be imported: {kind}") from error
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        raise ModelUnavailableError(f"{path}: there is no such class in {module}")
    return found


def _made(cls: type, path: str, parameters: Mapping[str, Any]) -> Any:
    try:
        return cls(**parameters)
    except Exception as error:
        kind = type(error).__name__
        given = ", ".join(parameters) or "none"
        raise ModelUnavailableError(
            f"{path} cannot be made with these parameters ({given}): {kind}"
        ) from error


def _takes_two(scan: Callable[..., Any]) -> bool:
    try:
        form = signature(scan)
    except ValueError:  # of some classes written in C
        return True
    try:
        form.bind("text", "prompt")
    except TypeError:
        return False
    return True


def _facts(made: Any, path: str) -> Mapping[str, str | int]:
    """What it tells of itself, bounded: `/health` is public."""
    describe = getattr(made, "describe", None)
    if describe is None:
        return {}
    try:
        facts = dict(describe())
    except Exception as error:
        kind = type(error).__name__
        raise ModelUnavailableError(f"{path}: describe failed: {kind}") from error
    if len(facts) > MAX_FACTS or not all(_is_fact(*item) for item in facts.items()):
        raise ModelUnavailableError(
            f"{path}: describe must give at most {MAX_FACTS} names of its own with numbers or "
            f"texts of at most {MAX_FACT_CHARS} characters"
        )
    return {name: fact if isinstance(fact, int) else str(fact) for name, fact in facts.items()}


def _is_fact(name: Any, fact: Any) -> bool:
    if isinstance(fact, int) and abs(fact) > MAX_FACT:
        return False
    return (
        isinstance(name, str)
        and name not in OUR_FACTS
        and isinstance(fact, str | int | float)
        and max(len(name), len(str(fact))) <= MAX_FACT_CHARS
        and f"{name}{fact}".isprintable()
    )
