from typing import Any

import pytest

from ogp.core.errors import InvalidRequestError
from ogp.dialects.vocabulary import STRING, STRING_OR_STRINGS, either, words


def test_words() -> None:
    assert words("a b\n a") == {"a", "b"}


@pytest.mark.parametrize("value", ["x", "", [], ["x"]])
def test_one_of_several_types_passes(value: Any) -> None:
    STRING_OR_STRINGS("stop", value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (5, "stop must be a string or a list of strings, not a number"),
        ([5], r"stop\[0\] must be a string, not a number"),
        ([None], r"stop\[0\] must be a string, not null"),
    ],
)
def test_other_types_are_refused(value: Any, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        STRING_OR_STRINGS("stop", value)


def test_a_list_is_refused_where_none_is_right() -> None:
    with pytest.raises(InvalidRequestError, match="x must be a string or a number, not a list"):
        either("a string or a number", str, int)("x", [])
    either("a list", items=STRING)("x", ["a"])
