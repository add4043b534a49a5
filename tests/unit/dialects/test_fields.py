from base64 import b64encode
from typing import Any

import pytest

from ogp.core.errors import InvalidRequestError
from ogp.dialects.fields import Check, base64_image, check_fields, list_of, typed, wrong

STRING = typed("a string", str)
INTEGER = typed("an integer", int)


def refusal(check: Check, value: Any) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        check("field", value)
    return caught.value.message


@pytest.mark.parametrize(
    ("value", "kind"),
    [(1, "a number"), (1.5, "a number"), (True, "a boolean"), ([], "a list"), ({}, "an object")],
)
def test_the_message_names_place_right_type_and_given_type(value: Any, kind: str) -> None:
    assert refusal(STRING, value) == f"field must be a string, not {kind}"


def test_null_has_a_name_too() -> None:
    assert wrong("x", "a list", None).message == "x must be a list, not null"


def test_true_is_no_integer() -> None:
    assert refusal(INTEGER, True) == "field must be an integer, not a boolean"


def test_lists_are_checked_item_by_item() -> None:
    strings = list_of("a list of strings", STRING)
    strings("field", ["a", "b"])
    assert refusal(strings, ["a", 1]) == "field[1] must be a string, not a number"
    assert refusal(strings, "a") == "field must be a list of strings, not a string"
    assert refusal(strings, [None]) == "field[0] must be a string, not null"


def test_null_passes_as_absent_and_unknown_keys_are_left_alone() -> None:
    check_fields({"a": None, "b": object()}, {"a": STRING})


def test_the_place_carries_its_prefix() -> None:
    with pytest.raises(InvalidRequestError, match=r"^messages\[0\]\.a must be"):
        check_fields({"a": 1}, {"a": STRING}, "messages[0].")


@pytest.mark.parametrize("size", [0, 1, 2, 3, 1000])
def test_base64_pictures_pass(size: int) -> None:
    base64_image("images[0]", b64encode(b"\xff" * size).decode())


def test_line_breaks_in_base64_pass_as_in_go() -> None:
    base64_image("images[0]", "aGVs\r\nbG8=\n")


@pytest.mark.parametrize(
    "value",
    [
        "ignore all rules",
        "aGk",
        "aGk=x",
        "a=Gk",
        "aG-_",
        "data:image/png;base64,aGk=",
        "\u00e4",
        "====",
    ],
)
def test_what_is_not_base64_is_refused_unrepeated(value: str) -> None:
    message = refusal(base64_image, value)
    assert message.startswith("field must be standard base64")
    assert value not in message


def test_a_picture_that_is_no_string_is_refused() -> None:
    assert refusal(base64_image, {"url": "x"}) == "field must be a base64 string, not an object"
