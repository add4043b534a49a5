"""The declaration of Anthropic's routes."""

import pytest

from ogp.core.errors import InvalidRequestError
from ogp.dialects.anthropic_forms import (
    BLOCK_CHECKS,
    COUNT_TOKENS,
    FORMS,
    MESSAGES,
    SHAPE,
    SOURCE_CHECKS,
    TOP_NAMES,
)
from ogp.dialects.forms import Body, Caller, Framing, Streams


def test_every_route_is_posted_by_users_and_its_text_has_a_shape() -> None:
    for form in FORMS:
        assert (form.method, form.caller, form.body) == ("POST", Caller.USER, Body.JSON)
        assert form.reaches_model
        assert (form.shape, form.path) == (SHAPE, form.upstream_path)
        assert form.answer is not None


def test_messages_alone_are_streamed() -> None:
    assert (MESSAGES.framing, MESSAGES.streams) == (Framing.SSE, Streams.IF_TRUE)
    assert (COUNT_TOKENS.framing, COUNT_TOKENS.streams) == (Framing.DOCUMENT, Streams.NEVER)


def test_keys_are_known_by_their_casefolded_spelling() -> None:
    names = TOP_NAMES | BLOCK_CHECKS.keys() | SOURCE_CHECKS.keys()
    assert [name for name in names if name != name.casefold()] == []


def test_every_path_is_made_of_known_keys() -> None:
    paths = SHAPE.content | SHAPE.opaque | SHAPE.fixed.keys()
    keys = {key for path in paths for key in path.replace("[]", "").split(".")}
    assert keys <= SHAPE.names


def test_every_checked_field_is_a_known_key() -> None:
    assert TOP_NAMES | BLOCK_CHECKS.keys() | SOURCE_CHECKS.keys() <= SHAPE.names


@pytest.mark.parametrize("value", [0, -1])
def test_a_message_may_have_one_token_at_least(value: int) -> None:
    MESSAGES.checks["max_tokens"]("max_tokens", 1)
    with pytest.raises(InvalidRequestError, match="max_tokens must be 1 or more"):
        MESSAGES.checks["max_tokens"]("max_tokens", value)
