"""Type checks of request fields, with messages that name the field and what is right."""

import binascii
from collections.abc import Callable, Mapping
from typing import Any

from ogp.core.errors import InvalidRequestError

Check = Callable[[str, Any], None]
"""Takes the field's place and its value (never null) and raises `InvalidRequestError`."""

_NAMES: Mapping[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def wrong(where: str, right: str, value: Any) -> InvalidRequestError:
    """The refusal of a value; it tells the value's type, never the value."""
    return InvalidRequestError(f"{where} must be {right}, not {_NAMES[type(value)]}")


def typed(right: str, *types: type) -> Check:
    """A check for exactly these types (`True` is no integer); `right` is how a person says them."""

    def check(where: str, value: Any) -> None:
        if type(value) not in types:
            raise wrong(where, right, value)

    return check


def list_of(right: str, check_item: Check) -> Check:
    """A check for a list; `right` is how a person says it, e.g. `a list of strings`."""

    def check(where: str, value: Any) -> None:
        if not isinstance(value, list):
            raise wrong(where, right, value)
        for index, item in enumerate(value):
            check_item(f"{where}[{index}]", item)

    return check


def check_fields(members: Mapping[str, Any], checks: Mapping[str, Check], where: str = "") -> None:
    """Check the fields that are present; null is the same as absent, as it is in Go.

    Args:
        members: an object with canonical keys.
        checks: by key; other keys are left alone.
        where: the object's place with its dot, e.g. `messages[0].`.
    """
    for key, value in members.items():
        if value is not None and key in checks:
            checks[key](f"{where}{key}", value)


def base64_image(where: str, value: Any) -> None:
    """Check a picture: standard base64 with padding; line breaks are allowed, as in Go."""
    if not isinstance(value, str):
        raise wrong(where, "a base64 string", value)
    try:
        binascii.a2b_base64(value.replace("\r", "").replace("\n", ""), strict_mode=True)
    except ValueError:  # binascii.Error, or a character beyond ASCII
        raise InvalidRequestError(
            f"{where} must be standard base64 with padding, without a data: prefix"
        ) from None
