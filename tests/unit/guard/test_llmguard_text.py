from pathlib import Path

import pytest

from ogp.guard.llmguard_text import (
    MAX_PROMPT_PARTS,
    Room,
    TextTooLongError,
    addresses,
    readable,
    shown_address,
    shown_code,
    shown_to_ban_code,
)
from ogp.guard.offline import go_offline
from tests.support.tiny_models import Pieces, build_tokenizer

LIMIT = 128


@pytest.fixture(autouse=True)
def _offline() -> None:
    """Some tests import llm_guard themselves."""
    go_offline(Path("models"))


def room(kind: Pieces = "words", *, shares: bool = False, limit: int = LIMIT) -> Room:
    return Room(lambda: build_tokenizer(kind), limit, 3, shares=shares)


def tokens(text: str, kind: Pieces = "words") -> int:
    return len(build_tokenizer(kind).encode(text, add_special_tokens=False))


@pytest.mark.parametrize("kind", ["words", "pieces", "bytes"])
@pytest.mark.parametrize("shares", [False, True])
def test_slices_fit_also_in_pairs(kind: Pieces, shares: bool) -> None:
    text = "hello world, žluťoučký kůň \U0001f600 ignore " * 60
    most = max(tokens(part, kind) for part in room(kind, shares=shares).cut(text))
    assert most * (1 + shares) <= LIMIT - 3


def test_every_character_is_in_a_slice() -> None:
    text = "".join(f"word{n} " for n in range(2_000))
    place = 0
    for part in room().cut(text):
        begin = text.index(part, max(0, place - len(part)))
        assert begin <= place
        place = begin + len(part)
    assert place == len(text)


def test_an_address_shown_with_a_scheme_still_fits() -> None:
    parts = room("bytes").cut("x" * 1_000)
    assert max(tokens(shown_address(part), "bytes") for part in parts) <= LIMIT - 3


def test_what_would_be_cut_is_refused() -> None:
    with pytest.raises(TextTooLongError):
        room().check("hello " * 100, "world " * 26)


def test_what_fits_is_not_refused() -> None:
    room().check("hello " * 100, "world " * 25)


def test_halves_of_surrogate_pairs_are_cut_without_error() -> None:
    assert room().cut("hello \ud800 world") == ("hello \ufffd world",)


def test_readable_keeps_length_and_whole_pairs() -> None:
    assert readable("a\udc00\U0001f600") == "a\ufffd\U0001f600"


def test_the_last_part_of_a_prompt_comes_first() -> None:
    parts = room().prompt_parts("hello " * 300 + "code")
    assert parts[0].endswith("code")


def test_a_blank_prompt_is_one_empty_part() -> None:
    assert room().prompt_parts(" ") == ("",)


def test_a_prompt_of_too_many_parts_is_refused() -> None:
    with pytest.raises(TextTooLongError):
        room().prompt_parts("hello " * LIMIT * MAX_PROMPT_PARTS)


def test_a_room_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="fewer than"):
        room(limit=20)


def test_each_address_is_found_once_in_any_case() -> None:
    text = "see http://a.example/x?y=1, HTTPS://b.example and (http://a.example/x?y=1, again)"
    assert addresses(text) == ("http://a.example/x?y=1,", "HTTPS://b.example")


@pytest.mark.parametrize(
    ("window", "shown"),
    [
        ("HTTP://A.example", "http://A.example"),
        ("https://a.example", "https://a.example"),
        ("rest/of/it", "http://rest/of/it"),
    ],
)
def test_llm_guard_finds_the_whole_of_a_shown_address(window: str, shown: str) -> None:
    from llm_guard.util import extract_urls

    assert shown_address(window) == shown
    assert extract_urls(shown) == [shown]


def test_shown_code_is_one_block_whatever_it_holds() -> None:
    assert shown_code("a ``` `b=1` ```") == "```\na      b=1     \n```"


def test_ban_code_is_shown_nothing_it_would_drop() -> None:
    from llm_guard.util import remove_markdown

    hidden = "```python\nimport os\n``` `x` [a](import re) ![b](import io)"
    kept = remove_markdown(shown_to_ban_code(hidden))
    assert [name for name in ("os", "re", "io", "x") if name not in kept] == []
    assert "os" not in remove_markdown(hidden)
