"""Scanners of operators: every way in which they can be wrong is a state or an error, no text."""

import sys
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import TooLargeError
from ogp.guard import custom as custom_module
from ogp.guard.base import Finding, View
from ogp.guard.custom import load_custom
from ogp.guard.model import Model, ModelUnavailableError, ScannerBusyError, ScannerFailedError
from ogp.guard.model_scanner import ModelRule, ModelScanner, ScoreError
from ogp.guard.pool import ScannerPool
from tests.support.phrase_model import INPUT, OUTPUT, score_of

MARKER = "planted-marker"
MODULE = """
import threading

GATE = threading.Event()


class Rule:
    def __init__(self, words=("bad",), risk=0.9):
        self.words, self.risk = words, risk

    def scan(self, text, prompt):
        if text == "raise":
            raise KeyError(text)
        if text == "hang":
            GATE.wait(30)
        if text == "print":
            print("something")
        odd = {"text": text, "none": None, "nan": float("nan"), "bool": True, "high": 1.5}
        if text in odd:
            return odd[text]
        return self.risk if any(word in text + prompt for word in self.words) else 0

    def describe(self):
        return {"words": len(self.words), "edition": "first"}


class Silent:
    def scan(self, text, prompt):
        return 0.0


class Deaf:
    pass


class Narrow:
    def scan(self, text):
        return 0.0


class Sick(Silent):
    def __init__(self):
        raise ValueError("planted-marker")


class Dying(Silent):
    def __init__(self):
        raise SystemExit


class Talkative(Silent):
    def describe(self):
        return {"x": "planted-marker" * 20}


class Confused(Silent):
    def describe(self):
        raise ValueError("planted-marker")


class Listing(Silent):
    def describe(self):
        return ["a"]


class Failing:
    def scan(self, text, prompt):
        raise ValueError("planted-marker")


class Counter:
    scan = staticmethod(max)


class Told(Silent):
    def __init__(self, **facts):
        self.facts = facts

    def describe(self):
        return self.facts


class Odd:
    def __float__(self):
        raise ValueError("planted-marker")


class Twisted:
    def scan(self, text, prompt):
        return Odd()


class Place:
    class Rule(Silent):
        pass


value = 5
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("packages")
    (directory / "acme_rules.py").write_text(MODULE)
    (directory / "acme_broken.py").write_text("raise ValueError('planted-marker')")
    (directory / "acme_lacking.py").write_text("import no_such_package")
    sys.path.insert(0, str(directory))
    yield "acme_rules"
    sys.path.remove(str(directory))
    for name in ("acme_rules", "acme_broken", "acme_lacking"):
        sys.modules.pop(name, None)


@pytest.fixture
def pool() -> Iterator[ScannerPool]:
    pool = ScannerPool(2, max_pending=100, clock=SystemClock())
    pool.start()
    yield pool
    pool.stop()


def scanner_of(
    pool: ScannerPool, path: str, rule: ModelRule = INPUT, **parameters: Any
) -> ModelScanner:
    def load() -> Model:
        return load_custom(path, parameters)

    scanner = ModelScanner(rule, load, pool, SystemClock())
    scanner.begin()
    return scanner


def test_a_text_is_shown_whole_with_its_prompt(package: str) -> None:
    model = load_custom(f"{package}:Rule", {"words": ["evil"]})
    long = "word " * 20_000 + "evil"
    assert model.windows(long) == (long,)
    assert score_of(model, long).value == 0.9
    assert score_of(model, "answer", "an evil question").value == 0.9
    assert score_of(model, "fine").value == 0.0
    assert model.windows(" \n") == ()


def test_what_it_says_of_itself_is_shown(package: str) -> None:
    shown = load_custom(f"{package}:Rule", {}).describe()
    assert (shown["words"], shown["edition"]) == (1, "first")
    assert shown["class"] == "acme_rules:Rule"
    assert set(load_custom(f"{package}:Silent", {}).describe()) == {"class", "settings"}


def test_parameters_are_told_apart_and_not_shown(package: str) -> None:
    shown = [load_custom(f"{package}:Rule", {"words": [word]}).describe() for word in ("a", MARKER)]
    assert shown[0]["settings"] != shown[1]["settings"]
    assert MARKER not in str(shown)


def test_it_is_found_inside_a_class(package: str) -> None:
    assert score_of(load_custom(f"{package}:Place.Rule", {}), "x").value == 0.0


def test_a_method_without_a_signature_is_tried(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_signature(_: Any) -> Any:
        raise ValueError

    monkeypatch.setattr(custom_module, "signature", no_signature)
    assert score_of(load_custom(f"{package}:Silent", {}), "x").value == 0.0


@pytest.mark.parametrize(
    ("path", "parameters", "reason"),
    [
        ("no_such_module:Rule", {}, "no_such_module:Rule: there is no module no_such_module"),
        ("acme_lacking:Rule", {}, "acme_lacking:Rule: there is no module no_such_package"),
        ("acme_broken:Rule", {}, "acme_broken:Rule: its module cannot be imported: ValueError"),
        ("acme_rules:Role", {}, "acme_rules:Role: there is no such class in acme_rules"),
        ("acme_rules:value", {}, "acme_rules:value: there is no such class in acme_rules"),
        ("acme_rules:Deaf", {}, "acme_rules:Deaf has no method scan"),
        ("acme_rules:Narrow", {}, "acme_rules:Narrow: scan must take a text and a prompt"),
        (
            "acme_rules:Silent",
            {"limit": MARKER},
            r"acme_rules:Silent cannot be made with these parameters \(limit\): TypeError",
        ),
        (
            "acme_rules:Sick",
            {},
            r"acme_rules:Sick cannot be made with these parameters \(none\): ValueError",
        ),
        ("acme_rules:Dying", {}, "cannot be loaded: SystemExit"),
        ("acme_rules:Talkative", {}, "acme_rules:Talkative: describe must give at most 10 names"),
        ("acme_rules:Confused", {}, "acme_rules:Confused: describe failed: ValueError"),
        ("acme_rules:Listing", {}, "acme_rules:Listing: describe failed: ValueError"),
        ("acme_rules:Told", {"state": "ready"}, "acme_rules:Told: describe must give"),
        ("acme_rules:Told", {"errors": 0}, "acme_rules:Told: describe must give"),
        ("acme_rules:Told", {"device": "cuda"}, "acme_rules:Told: describe must give"),
        ("acme_rules:Told", {"x": 10**20}, "acme_rules:Told: describe must give"),
        ("acme_rules:Told", {"x": "\ud800"}, "acme_rules:Told: describe must give"),
        ("acme_rules:Told", {"x": ["a"]}, "acme_rules:Told: describe must give"),
        ("acme_rules:Twisted", {}, "fails on a plain sentence: scan raised ValueError"),
        ("acme_rules:Failing", {}, "fails on a plain sentence: scan raised ValueError"),
        ("acme_rules:Counter", {}, "fails on a plain sentence: scan gave str instead of a number"),
    ],
)
def test_what_cannot_be_used_is_a_state_with_a_reason(
    package: str,
    pool: ScannerPool,
    path: str,
    parameters: dict[str, Any],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scanner = scanner_of(pool, path, **parameters)
    with pytest.raises(ModelUnavailableError, match=f"^{reason}"):
        scanner.scan(View("text"))
    assert scanner.describe()["state"] == "failed"
    assert MARKER not in caplog.text + str(scanner.describe())


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("raise", ScannerFailedError, "scan raised KeyError"),
        ("text", ScannerFailedError, "scan gave str instead of a number"),
        ("none", ScannerFailedError, "scan gave NoneType instead of a number"),
        ("bool", ScannerFailedError, "scan gave bool instead of a number"),
        ("nan", ScoreError, "not between 0 and 1"),
        ("high", ScoreError, "not between 0 and 1"),
    ],
)
def test_what_is_no_risk_does_not_pass(
    package: str, pool: ScannerPool, text: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        scanner_of(pool, f"{package}:Rule").scan(View(text))
    assert caught.value.__cause__ is None


def test_one_that_hangs_is_left_at_the_deadline(package: str, pool: ScannerPool) -> None:
    from dataclasses import replace

    scanner = scanner_of(pool, f"{package}:Rule", replace(INPUT, timeout_s=0.5))
    with pytest.raises(ScannerBusyError):
        scanner.scan(View("hang"))
    assert scanner.scan(View("bad")) == Finding("score", 0.9)
    gate = sys.modules[package].GATE
    assert isinstance(gate, Event)
    gate.set()


def test_one_that_prints_still_judges(
    package: str, pool: ScannerPool, capsys: pytest.CaptureFixture[str]
) -> None:
    found = scanner_of(pool, f"{package}:Rule").scan(View("print"))
    assert found == Finding("", 0.0, blocks=False, hit=False)


def test_answers_are_judged_sentence_by_sentence(package: str, pool: ScannerPool) -> None:
    scanner = scanner_of(pool, f"{package}:Rule", OUTPUT)
    text = "A first whole sentence stands here. And then something ba"
    assert scanner.scan(View(text, open=True)) == Finding("", 0.0, blocks=False, hit=False)
    assert scanner.scan(View(f"{text}d happens in the second one. ", open=True)) == Finding(
        "score", 0.9
    )


def test_a_text_that_is_too_long_is_told_as_such(
    package: str, pool: ScannerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanner = scanner_of(pool, f"{package}:Rule")
    scanner.scan(View("x"))
    monkeypatch.setattr(custom_module, "MAX_CHARS", 10)
    with pytest.raises(TooLargeError, match="11 characters, at most 10"):
        scanner.scan(View("x" * 11))


def test_its_threshold_can_be_another(package: str, pool: ScannerPool) -> None:
    scanner = scanner_of(pool, f"{package}:Rule", risk=0.3)
    assert scanner.judged_at(0.2, blocks=True).scan(View("bad")) == Finding("score", 0.3)
