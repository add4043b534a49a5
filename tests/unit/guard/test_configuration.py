"""Ids of sets of scanners: when they differ, and that nothing secret is behind them."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest

from ogp.core.clock import SystemClock
from ogp.guard import configuration as module
from ogp.guard.ban import BanSubstringsScanner
from ogp.guard.base import Finding, Scanner, View, ViewKind
from ogp.guard.cache import Direction
from ogp.guard.configuration import Configurations, configuration_id, describe_configuration
from ogp.guard.length import TokenLimitScanner
from ogp.guard.normalise import Normaliser
from ogp.guard.pool import ScannerPool
from ogp.guard.scanners import input_scanners
from ogp.settings.guard_schema import GuardSettings
from tests.support.phrase_model import PhraseModel, make_scanner

SECRET = "project blue heron"


class Changing:
    """A scanner whose identity is set by hand, or changes while it is described."""

    name = "m"
    reads = (ViewKind.RAW,)
    hold_chars = 1

    def __init__(self, *identities: str) -> None:
        self.identities = list(identities)

    def scan(self, view: View) -> Finding | None:
        raise AssertionError(view)

    def settled(self, view: View) -> int:
        raise AssertionError(view)

    def describe(self) -> Mapping[str, int | str]:
        if len(self.identities) > 1:
            self.identities.pop(0)
        return {"threshold": "0.92", "action": "block"}

    def identity(self) -> str:
        return self.identities[0]


def ban(phrase: str = SECRET) -> Scanner:
    return BanSubstringsScanner((phrase,), "str", Normaliser())


def document(configurations: Configurations) -> dict[str, Any]:
    (text,) = configurations.documents().values()
    loaded: dict[str, Any] = orjson.loads(text)
    return loaded


def test_an_id_is_twelve_hexadecimal_digits() -> None:
    assert re.fullmatch("[0-9a-f]{12}", configuration_id(Direction.INPUT, [ban()]))


def test_equal_scanners_have_one_id_in_every_process() -> None:
    assert configuration_id(Direction.INPUT, [ban()]) == configuration_id(Direction.INPUT, [ban()])


@pytest.mark.parametrize(
    ("direction", "scanners"),
    [
        (Direction.OUTPUT, [ban()]),
        (Direction.INPUT, []),
        (Direction.INPUT, [ban("other")]),
        (Direction.INPUT, [ban(), TokenLimitScanner(9)]),
        (Direction.INPUT, [TokenLimitScanner(9), ban()]),
    ],
)
def test_anything_else_is_another_id(direction: Direction, scanners: list[Scanner]) -> None:
    assert configuration_id(direction, scanners) != configuration_id(Direction.INPUT, [ban()])


def test_scanners_in_another_order_are_another_configuration() -> None:
    one, other = [ban(), TokenLimitScanner(9)], [TokenLimitScanner(9), ban()]
    assert configuration_id(Direction.INPUT, one) != configuration_id(Direction.INPUT, other)


@pytest.fixture
def pool() -> Iterator[ScannerPool]:
    pool = ScannerPool(1, max_pending=9, clock=SystemClock())
    pool.start()
    yield pool
    pool.stop()


def test_the_id_is_another_when_the_model_is_there(pool: ScannerPool) -> None:
    scanner = make_scanner(pool, PhraseModel())
    configurations = Configurations(Direction.INPUT, [scanner])
    before = configurations.current()
    scanner.begin()
    scanner.scan(View("waits for the model"))
    after = configurations.current()
    assert before != after
    documents = {name: orjson.loads(text) for name, text in configurations.documents().items()}
    states = [documents[name]["scanners"][scanner.name]["state"] for name in (before, after)]
    assert states == ["loading", "ready"]
    assert documents[after]["scanners"][scanner.name]["model"] == "ab12"


def test_a_document_names_versions_and_scanners_in_their_order() -> None:
    scanners = [ban(), TokenLimitScanner(9)]
    shown = describe_configuration(Direction.INPUT, scanners)
    assert shown["direction"] == "input"
    assert shown["versions"].keys() == {"ogp", "python", "unicode"}
    assert list(shown["scanners"]) == ["ban_substrings", "token_limit"]


def test_a_threshold_is_a_number() -> None:
    shown = describe_configuration(Direction.INPUT, [Changing("a")])
    assert shown["scanners"]["m"]["threshold"] == 0.92
    assert shown["scanners"]["m"]["action"] == "block"


class Busy(Changing):
    """It has scanned, and its last scan failed."""

    def describe(self) -> Mapping[str, int | str]:
        return {"state": "failing", "scans": 7, "errors": 2, "threshold": "0.5"}


def test_what_changes_while_a_configuration_stays_is_not_told() -> None:
    shown = describe_configuration(Direction.INPUT, [Busy("a")])["scanners"]["m"]
    assert shown.keys() == {"state", "threshold", "identity"}
    assert shown["state"] == "ready"


class Strange(Changing):
    """What a scanner of an operator may say of itself."""

    threshold = "high"

    def describe(self) -> Mapping[str, int | str]:
        return {"threshold": self.threshold, "parameters": 10**30, "note": "\ud800"}


@pytest.mark.parametrize("threshold", ["high", "nan", "-inf"])
def test_what_scanners_of_operators_say_of_themselves_breaks_nothing(threshold: str) -> None:
    scanner = Strange("\ud800")
    scanner.threshold = threshold
    configurations = Configurations(Direction.INPUT, [scanner])
    configurations.current()
    (text,) = configurations.documents().values()
    assert json.loads(text)["scanners"]["m"]["threshold"] == threshold
    assert text.isascii()


def test_phrases_and_patterns_are_not_told() -> None:
    sections = {
        "ban_substrings": {"substrings": [SECRET]},
        "regex": {"patterns": [{"name": "case", "pattern": "heron-[0-9]{6}"}]},
    }
    settings = GuardSettings.model_validate({"input_scanners": sections})
    configurations = Configurations(Direction.INPUT, input_scanners(settings, Normaliser()))
    configurations.current()
    (text,) = configurations.documents().values()
    assert "heron" not in text


def test_other_phrases_are_seen_in_the_identity() -> None:
    one, other = (
        describe_configuration(Direction.INPUT, [ban(phrase)])["scanners"]["ban_substrings"]
        for phrase in (SECRET, "another project")
    )
    assert one["identity"] != other["identity"]
    assert {**one, "identity": ""} == {**other, "identity": ""}


def test_only_what_was_asked_for_is_remembered() -> None:
    configurations = Configurations(Direction.INPUT, [ban()])
    assert configurations.documents() == {}
    current = configurations.current()
    assert configurations.documents().keys() == {current}
    assert configurations.current() == current
    assert document(configurations)["direction"] == "input"


def test_a_document_that_may_tell_of_another_state_is_not_kept() -> None:
    scanner = Changing("before", "after")
    configurations = Configurations(Direction.INPUT, [scanner])
    before = configurations.current()
    assert configurations.documents() == {}
    after = configurations.current()
    assert before != after
    assert configurations.documents().keys() == {after}


def test_a_scanner_that_is_never_the_same_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 3)
    scanner = Changing("0")
    configurations = Configurations(Direction.INPUT, [scanner])
    for number in range(10):
        scanner.identities = [str(number)]
        assert configurations.current() in configurations.documents()
        assert len(configurations.documents()) <= 3
