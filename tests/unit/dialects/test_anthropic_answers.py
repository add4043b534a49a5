"""What stands where in Anthropic's answers."""

from typing import Any

import pytest

from ogp.core.types import Usage
from ogp.dialects.anthropic_answers import ANSWER, counts_in, holds_input, later, tell_apart


def test_every_path_is_made_of_known_keys() -> None:
    paths = ANSWER.metadata | ANSWER.streamed | ANSWER.fixed.keys() | ANSWER.numbered.keys()
    keys = {key for path in paths for key in path.replace("[]", "").split(".")}
    assert keys <= ANSWER.names


@pytest.mark.parametrize(
    ("channel", "document", "named"),
    [
        ("delta.text", {"index": 2}, "content[2].text"),
        ("content_block.text", {"index": 2}, "content[2].text"),
        ("delta.partial_json", {"index": 0}, "content[0].partial_json"),
        ("delta.text", {}, "content[].text"),
        ("delta.text", {"index": "x"}, "content[].text"),
        ("delta.text", {"index": True}, "content[].text"),
        ("delta.stop_sequence", {}, "delta.stop_sequence"),
        ("message.content[1].text", {}, "content[1].text"),
        ("message.stop_sequence", {}, "message.stop_sequence"),
        ("error.message", {}, "error.message"),
        ("raw", None, "raw"),
    ],
)
def test_texts_of_a_block_have_one_name_in_every_event(
    channel: str, document: Any, named: str
) -> None:
    assert tell_apart([(channel, "x")], document) == [(named, "x")]


def test_input_that_comes_in_pieces_is_told_from_input_that_does_not() -> None:
    assert holds_input("content[1].partial_json")
    assert not holds_input("content[1].input.partial_json")
    assert not holds_input("content[1].input.to")


@pytest.mark.parametrize(
    ("document", "usage"),
    [
        ({"usage": {"input_tokens": 3, "output_tokens": 2}}, Usage(3, 2)),
        ({"message": {"usage": {"input_tokens": 3}}}, Usage(3, None)),
        ({"message": "no", "usage": {"output_tokens": 2}}, Usage(None, 2)),
        (
            {
                "usage": {
                    "input_tokens": 3,
                    "cache_creation_input_tokens": 10,
                    "cache_read_input_tokens": 100,
                }
            },
            Usage(113, None),
        ),
        ({"usage": {"input_tokens": 3, "cache_read_input_tokens": None}}, Usage(3, None)),
        ({"usage": {"cache_read_input_tokens": 3, "output_tokens": 2}}, Usage(None, 2)),
        ({"usage": None}, None),
        ({"usage": {"input_tokens": "3"}}, None),
        ({"input_tokens": 3}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_tokens_are_counted_with_those_of_the_cache(document: Any, usage: Usage | None) -> None:
    assert counts_in(document) == usage


@pytest.mark.parametrize(
    ("before", "now", "total"),
    [
        (Usage(), Usage(3, 0), Usage(3, 0)),
        (Usage(3, 0), Usage(None, 9), Usage(3, 9)),
        (Usage(3, 5), Usage(0, 9), Usage(3, 9)),
        (Usage(3, 5), Usage(4, 9), Usage(4, 9)),
        (Usage(3, 5), Usage(4, None), Usage(4, 5)),
    ],
)
def test_later_counts_are_totals(before: Usage, now: Usage, total: Usage) -> None:
    assert later(before, now) == total
