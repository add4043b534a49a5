"""What decides a verdict decides the key it is remembered under."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogp.guard import cache as cache_module
from ogp.guard.ban import BanSubstringsScanner
from ogp.guard.base import Scanner
from ogp.guard.cache import Direction, verdict_key
from ogp.guard.injection import InjectionRulesScanner
from ogp.guard.invisible import InvisibleTextScanner
from ogp.guard.length import TokenLimitScanner
from ogp.guard.normalise import Normaliser
from ogp.guard.patterns import RegexScanner
from ogp.guard.secrets import SecretsScanner
from ogp.settings.guard_schema import RegexPattern


class Named:
    """As much of a scanner as a key needs."""

    def __init__(self, identity: str) -> None:
        self._identity = identity

    def identity(self) -> str:
        return self._identity


def key_of(texts: Sequence[str], *identities: str, direction: Direction = Direction.INPUT) -> bytes:
    scanners: Any = [Named(identity) for identity in identities]
    return verdict_key(direction, scanners, texts)


def test_equal_facts_give_equal_keys() -> None:
    assert key_of(["content", "hi"], "a", "b") == key_of(["content", "hi"], "a", "b")
    assert len(key_of([])) == 32


@pytest.mark.parametrize(
    "other",
    [
        key_of(["content", "hi"], "a", "b", direction=Direction.OUTPUT),
        key_of(["content", "hi"], "b", "a"),
        key_of(["content", "hi"], "a"),
        key_of(["content", "hi"], "a", "b", "c"),
        key_of(["content", "hi"], "a", "b/2"),
        key_of(["field", "hi"], "a", "b"),
        key_of(["content", "hi "], "a", "b"),
        key_of(["content", "Hi"], "a", "b"),
        key_of(["contenth", "i"], "a", "b"),
        key_of(["content", "h", "i"], "a", "b"),
        key_of(["content", "hi", ""], "a", "b"),
        key_of(["b", "content", "hi"], "a"),
    ],
)
def test_whatever_decides_a_verdict_decides_the_key(other: bytes) -> None:
    assert other != key_of(["content", "hi"], "a", "b")


def test_a_prefix_of_a_text_is_another_text() -> None:
    text = "x" * 100_000
    assert len({key_of(["content", text[:length]]) for length in range(99_990, 100_001)}) == 11


def test_another_version_of_the_proxy_or_of_python_gives_another_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = key_of(["hi"])
    assert cache_module.CODE[0] == cache_module.__version__
    for number in range(len(cache_module.CODE)):
        code = list(cache_module.CODE)
        code[number] += "+"
        monkeypatch.setattr(cache_module, "CODE", tuple(code))
        assert key_of(["hi"]) != before


ANY_TEXT = st.text(st.characters(), max_size=5)  # halves of surrogate pairs included


@given(st.lists(ANY_TEXT, max_size=4), st.lists(ANY_TEXT, max_size=4))
def test_keys_are_equal_only_for_equal_lists_of_texts(left: list[str], right: list[str]) -> None:
    assert (key_of(left) == key_of(right)) == (left == right)


@given(st.lists(ANY_TEXT, max_size=3), st.lists(ANY_TEXT, max_size=3))
def test_texts_cannot_pass_for_scanners(identities: list[str], texts: list[str]) -> None:
    everything = [*identities, *texts]
    assert (key_of(texts, *identities) == key_of(everything)) == (identities == [])


def ban(*phrases: str, match_type: Any = "str") -> Scanner:
    return BanSubstringsScanner(phrases, match_type, Normaliser())


def regex(name: str, pattern: str, max_length: int = 200) -> Scanner:
    return RegexScanner([RegexPattern(name=name, pattern=pattern, max_length=max_length)])


SCANNERS = (
    ban("violet"),
    ban("violet", "heron"),
    ban("heron", "violet"),
    ban("violetheron"),
    ban("violet", match_type="word"),
    regex("a", "b+"),
    regex("a", "b*c"),
    regex("b", "b+"),
    regex("a", "b+", 100),
    RegexScanner([RegexPattern(name="a", pattern="b+"), RegexPattern(name="c", pattern="d")]),
    InvisibleTextScanner(),
    InjectionRulesScanner("block"),
    InjectionRulesScanner("flag"),
    SecretsScanner(),
    TokenLimitScanner(5),
    TokenLimitScanner(6),
)


def test_scanners_that_differ_in_anything_have_different_identities() -> None:
    assert len({scanner.identity() for scanner in SCANNERS}) == len(SCANNERS)


def test_scanners_alike_have_one_identity() -> None:
    assert ban("violet", "heron").identity() == ban("violet", "heron").identity()
    assert SecretsScanner().identity() == SecretsScanner().identity()


@pytest.mark.parametrize("scanner", SCANNERS, ids=lambda scanner: scanner.name)
def test_an_identity_begins_with_the_name_and_shows_no_phrase(scanner: Scanner) -> None:
    identity = scanner.identity()
    assert identity.startswith(f"{scanner.name}:")
    assert "violet" not in identity
    assert len(identity) < 100
