"""The estimate of tokens."""

from typing import Literal

import pytest

from ogp.guard.base import View
from ogp.guard.length import TokenLimitScanner


@pytest.mark.parametrize(("chars", "refused"), [(0, False), (40, False), (41, True), (44, True)])
def test_four_characters_count_as_a_token_rounded_up(chars: int, refused: bool) -> None:
    assert (TokenLimitScanner(10).scan(View("x" * chars)) is not None) is refused


def test_the_reason_is_labelled_as_an_estimate() -> None:
    finding = TokenLimitScanner(1).scan(View("x" * 100))
    assert finding is not None
    assert finding.reason == "estimated tokens"


def test_nothing_is_held() -> None:
    assert TokenLimitScanner(1).settled(View("abc", open=True)) == 3


def test_describe_says_that_it_is_an_estimate() -> None:
    described = TokenLimitScanner(7).describe()
    counts = "estimate, 1 token per 4 chars"
    assert described == {"limit": 7, "counts": counts, "action": "block"}


@pytest.mark.parametrize(("action", "blocks"), [("block", True), ("flag", False)])
def test_the_action_tells_what_a_hit_does(action: Literal["block", "flag"], blocks: bool) -> None:
    finding = TokenLimitScanner(1, action).scan(View("x" * 100))
    assert finding is not None
    assert finding.blocks is blocks


def test_everything_is_settled_as_prompts_are_whole() -> None:
    assert TokenLimitScanner(1).settled(View("abc")) == 3
