"""The finder of personal data: settings, loading, and searches in the pool."""

import logging
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from ogp.core.clock import SystemClock
from ogp.core.errors import TooLargeError
from ogp.guard import anonymize as module
from ogp.guard.anonymize import Anonymizer, Finders, build_anonymizer
from ogp.guard.base import Finder, Span
from ogp.guard.device import Device
from ogp.guard.model import ModelUnavailableError, ScannerBusyError, ScannerFailedError
from ogp.guard.personal_data import Found
from ogp.guard.pool import ScannerPool
from ogp.settings.guard_schema import GuardSettings
from tests.support.tiny_ner import write_ner

SOON_S = 20.0
MARKER = "quokka@example.com"
TEXT = f"I am Ada Lovelace of Paris, {MARKER}; call +49 30 901820."


@pytest.fixture
def pool() -> Iterator[ScannerPool]:
    pool = ScannerPool(2, max_pending=2_000, clock=SystemClock())
    pool.start()
    yield pool
    pool.stop()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("models")
    write_ner(directory / "anonymize")
    return directory


def settings_of(path: Path, models: Any = (), **own: Any) -> GuardSettings:
    return GuardSettings.model_validate(
        {
            "models": {"path": path, "device": "cpu", **dict(models)},
            "input_scanners": {"anonymize": {"enabled": True, **own}},
        }
    )


def cpu() -> Device:
    return Device("cpu", "test", "fp32")


def build(
    settings: GuardSettings, pool: ScannerPool, has: Callable[[str], bool] = lambda _: True
) -> Anonymizer:
    built = build_anonymizer(settings, pool, SystemClock(), cpu, has)
    assert built is not None
    return built


def begun(settings: GuardSettings, pool: ScannerPool) -> Anonymizer:
    built = build(settings, pool)
    built.begin()
    assert built._decided.wait(SOON_S)
    return built


def pieces(anonymizer: Finder, text: str) -> list[tuple[str, str]]:
    return [(span.label, text[span.start : span.end]) for span in anonymizer.find(text)]


def test_patterns_and_names_are_found_together(pool: ScannerPool, models: Path) -> None:
    assert pieces(begun(settings_of(models), pool), TEXT) == [
        ("PERSON", "Ada Lovelace"),
        ("LOCATION", "Paris"),
        ("EMAIL_ADDRESS", MARKER),
        ("PHONE_NUMBER", "+49 30 901820"),
    ]


def test_without_weights_patterns_alone_are_found(pool: ScannerPool, tmp_path: Path) -> None:
    anonymizer = begun(settings_of(tmp_path), pool)
    assert [label for label, _ in pieces(anonymizer, TEXT)] == ["EMAIL_ADDRESS", "PHONE_NUMBER"]
    assert anonymizer.describe()["names"] == f"off: no such directory: {tmp_path / 'anonymize'}"


def test_only_the_entities_that_are_asked_for_are_found(pool: ScannerPool, models: Path) -> None:
    anonymizer = begun(settings_of(models, entities=["LOCATION", "EMAIL_ADDRESS"]), pool)
    assert [label for label, _ in pieces(anonymizer, TEXT)] == ["LOCATION", "EMAIL_ADDRESS"]


def test_names_can_be_switched_off(pool: ScannerPool, models: Path) -> None:
    anonymizer = begun(settings_of(models, names=False), pool)
    assert "PERSON" not in dict(pieces(anonymizer, TEXT))
    assert anonymizer.describe()["names"] == "off: switched off"


@pytest.mark.parametrize("text", ["", " \n", "hello world", "plain words only."])
def test_a_text_that_can_hold_nothing_costs_no_thread(
    models: Path, text: str, pool: ScannerPool
) -> None:
    anonymizer = begun(settings_of(models, names=False), pool)
    before = pool.status().completed
    assert anonymizer.find(text) == ()
    assert pool.status().completed == before


def test_what_lies_on_the_cuts_is_found_whole(pool: ScannerPool, models: Path) -> None:
    anonymizer = begun(settings_of(models), pool)
    for shift in range(0, 60, 7):
        text = ("it is good . " * 380 + "x" * shift + " Ada Lovelace " + MARKER + " ") * 3
        assert (
            pieces(anonymizer, text)
            == [
                ("PERSON", "Ada Lovelace"),
                ("EMAIL_ADDRESS", MARKER),
            ]
            * 3
        )


def test_spans_are_sorted_and_apart_in_a_long_text(pool: ScannerPool, models: Path) -> None:
    text = (TEXT + " ") * 300
    spans = begun(settings_of(models), pool).find(text)
    assert len(spans) == 4 * 300
    assert all(one.end <= other.start for one, other in pairwise(spans))


def test_a_text_of_too_many_parts_is_refused(pool: ScannerPool, tmp_path: Path) -> None:
    anonymizer = begun(settings_of(tmp_path, models={"max_windows": 2}), pool)
    assert anonymizer.find("1 " * 4_000) == ()
    with pytest.raises(TooLargeError, match="3 parts, at most 2"):
        anonymizer.find("1 " * 6_000)


def test_nothing_is_loaded_before_it_begins(pool: ScannerPool, models: Path) -> None:
    anonymizer = build(settings_of(models, models={"timeout_s": 0.05}), pool)
    assert anonymizer.obstacle() == "anonymize is loading"
    assert anonymizer.describe()["state"] == "loading"
    with pytest.raises(ScannerBusyError, match="still loading"):
        anonymizer.find(TEXT)


def test_a_text_waits_until_it_is_loaded(
    pool: ScannerPool, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anonymizer = build(settings_of(models), pool)
    gate, load = Event(), module.load_finders

    def slowly(*args: Any) -> Finders:
        assert gate.wait(SOON_S)
        return load(*args)

    monkeypatch.setattr(module, "load_finders", slowly)
    with ThreadPoolExecutor(1) as callers:
        waiting = callers.submit(anonymizer.find, MARKER)
        anonymizer.begin()
        assert not waiting.done()
        gate.set()
        assert waiting.result(SOON_S) == (Span(0, len(MARKER), "EMAIL_ADDRESS"),)
    assert anonymizer.obstacle() is None


def test_it_describes_itself(pool: ScannerPool, models: Path) -> None:
    shown = begun(settings_of(models, entities=["PERSON", "URL"]), pool).describe()
    assert len(str(shown.pop("model"))) == 64
    assert shown == {
        "state": "ready",
        "action": "redact",
        "entities": 2,
        "languages": "en",
        "threshold": "0.4",
        "names": "on",
        "presidio": "2.2.358",
        "precision": "fp32",
        "device": "cpu",
    }


def test_the_identity_tells_settings_state_and_weights_apart(
    pool: ScannerPool, models: Path, tmp_path: Path
) -> None:
    write_ner(tmp_path / "anonymize", names={"Ada": "B-LOC"})
    ready = begun(settings_of(models), pool)
    identities = [
        build(settings_of(models), pool).identity(),
        ready.identity(),
        begun(settings_of(tmp_path), pool).identity(),
        begun(settings_of(models, names=False), pool).identity(),
        begun(settings_of(models, threshold=0.5), pool).identity(),
        begun(settings_of(models, languages=["en", "de"]), pool).identity(),
    ]
    assert len(set(identities)) == len(identities)
    assert begun(settings_of(models), pool).identity() == ready.identity()


def test_without_the_package_true_fails_and_says_why(
    pool: ScannerPool, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    monkeypatch.delitem(sys.modules, "presidio_analyzer.predefined_recognizers", raising=False)
    anonymizer = begun(settings_of(models), pool)
    assert (anonymizer.describe()["state"], anonymizer.obstacle()) == ("failed", None)
    with pytest.raises(ModelUnavailableError, match="package presidio_analyzer"):
        anonymizer.find("hello")


def test_names_that_are_asked_for_and_missing_fail(pool: ScannerPool, tmp_path: Path) -> None:
    anonymizer = begun(settings_of(tmp_path, names=True), pool)
    assert anonymizer.describe()["reason"] == f"no such directory: {tmp_path / 'anonymize'}"
    with pytest.raises(ModelUnavailableError, match="no such directory"):
        anonymizer.find(TEXT)


def test_weights_that_were_brought_and_are_broken_fail(pool: ScannerPool, tmp_path: Path) -> None:
    write_ner(tmp_path / "anonymize")
    (tmp_path / "anonymize" / "config.json").write_text("{}", "utf-8")
    anonymizer = begun(settings_of(tmp_path), pool)
    assert "id2label is missing" in str(anonymizer.describe()["reason"])


def test_whatever_loading_leads_to_is_kept_as_the_state(
    pool: ScannerPool, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Panic(BaseException):
        """As Rust code raises."""

    def panic(*_: object) -> Finders:
        raise Panic

    monkeypatch.setattr(module, "load_finders", panic)
    anonymizer = begun(settings_of(models), pool)
    assert anonymizer.describe()["reason"] == "cannot be loaded: Panic"


class Broken:
    """Patterns that do something else."""

    version = "0"

    def __init__(self, act: Callable[[], list[Found]]) -> None:
        self._act = act

    def find(self, text: str, start: int, end: int) -> list[Found]:
        assert (start, end) == (0, len(text))
        return self._act()


def with_patterns(
    pool: ScannerPool, models: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[], list[Found]]
) -> Anonymizer:
    monkeypatch.setattr(module, "load_finders", lambda *_: Finders(Broken(act)))
    return begun(settings_of(models, models={"timeout_s": 0.2}), pool)


def test_an_error_of_a_library_is_told_by_its_kind_alone(
    pool: ScannerPool, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> list[Found]:
        raise KeyError(MARKER)

    anonymizer = with_patterns(pool, models, monkeypatch, fail)
    with pytest.raises(ScannerFailedError) as caught:
        anonymizer.find(MARKER)
    assert (str(caught.value), caught.value.__suppress_context__) == ("KeyError", True)


def test_a_search_that_hangs_lets_the_caller_go_in_time(
    pool: ScannerPool, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Event()

    def hang() -> list[Found]:
        assert gate.wait(SOON_S)
        return []

    anonymizer = with_patterns(pool, models, monkeypatch, hang)
    with pytest.raises(ScannerBusyError, match="PoolTimeoutError"):
        anonymizer.find(MARKER)
    gate.set()


def test_a_pool_that_has_stopped_is_busy(pool: ScannerPool, models: Path) -> None:
    anonymizer = begun(settings_of(models), pool)
    pool.stop()
    with pytest.raises(ScannerBusyError, match="PoolStoppedError"):
        anonymizer.find(TEXT)


def test_no_text_is_logged_and_no_network_asked(
    pool: ScannerPool,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    caplog.set_level(logging.DEBUG)
    anonymizer = begun(settings_of(models), pool)
    assert len(anonymizer.find(TEXT + " DE88 3704 0044 0532 0130 00")) == 4
    assert "quokka" not in caplog.text
    assert "quokka" not in str(anonymizer.describe()) + anonymizer.identity()
    assert "guard finder ready: scanner=anonymize" in caplog.text


def test_thousands_of_mixed_searches_are_right(models: Path) -> None:
    pool = ScannerPool(4, max_pending=20_000, clock=SystemClock())
    pool.start()
    anonymizer = begun(settings_of(models), pool)
    samples = [
        ("hello world", []),
        ("Ada", ["PERSON"]),
        (f"to {MARKER}", ["EMAIL_ADDRESS"]),
        (TEXT, ["PERSON", "LOCATION", "EMAIL_ADDRESS", "PHONE_NUMBER"]),
        ("4111 1111 1111 1112 in Paris", ["LOCATION"]),
        ("4111 1111 1111 1111", ["CREDIT_CARD"]),
    ]
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)

    def is_right(number: int) -> bool:
        text, labels = samples[number % len(samples)]
        text += " " * (number % 50)
        return [label for label, _ in pieces(anonymizer, text)] == labels

    try:
        with ThreadPoolExecutor(8) as callers:
            assert all(callers.map(is_right, range(2_000)))
    finally:
        sys.setswitchinterval(before)
    pool.stop()
