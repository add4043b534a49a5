"""Words that several dialects share, and checks of fields that look the same in each."""

from typing import Any

from ogp.dialects.fields import Check, list_of, typed


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


STRING = typed("a string", str)
BOOLEAN = typed("true or false", bool)
INTEGER = typed("an integer", int)
NUMBER = typed("a number", int, float)
OBJECT = typed("an object", dict)
OBJECTS = list_of("a list of objects", OBJECT)
STRINGS = list_of("a list of strings", STRING)


def either(right: str, *types: type, items: Check | None = None) -> Check:
    """A check for one of several types.

    Args:
        right: how a person says it, e.g. `a string or a list of strings`.
        types: those that need no further look.
        items: what each item must be where a list is right, too.
    """
    simple = typed(right, *types)
    several = list_of(right, items) if items else simple

    def check(where: str, value: Any) -> None:
        (several if isinstance(value, list) else simple)(where, value)

    return check


STRING_OR_STRINGS = either("a string or a list of strings", str, items=STRING)
STRING_OR_OBJECT = typed("a string or an object", str, dict)

SCHEMA_NAMES = words(
    "$defs $ref additionalProperties allOf anyOf arguments const default definitions description "
    "enum examples exclusiveMaximum exclusiveMinimum format function id index items maxItems "
    "maxLength maximum minItems minLength minimum multipleOf name oneOf parameters pattern "
    "properties required schema strict title tools type"
)
"""Keys of tools and of the schemas in them."""
ROLES = words("system developer user assistant tool function")
