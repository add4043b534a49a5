"""From what was written to what the schema takes: words for booleans, no silent conversions."""

import math
from pathlib import Path
from typing import Any

from ogp.settings.keys import Key, is_section
from ogp.settings.yaml_file import YamlNode

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})
NULL_WORDS = frozenset({"null", "none"})


def from_text(key: Key, text: str) -> Any:
    """A value out of the environment or a flag, where everything is text.

    Raises:
        ValueError: it is not what the key takes; the message says what would be right.
    """
    if type(None) in key.types and text.lower() in NULL_WORDS:
        return None
    return _checked(key, text)


def from_yaml(key: Key, node: YamlNode) -> Any:
    """A value out of config.yaml.

    Raises:
        ValueError: it is not what the key takes; the message says what would be right.
    """
    for part in node.walk():
        if part.trap:
            raise ValueError(f"must be {key.right}; {part.trap}")
    value = node.value
    if value is None and type(None) not in key.types:
        raise ValueError(f"has no value; it must be {key.right}: give one, or remove the line")
    if key.is_open:
        if not node.is_mapping:
            raise ValueError(f"must be {key.right}")
        return value
    if node.is_mapping:
        raise ValueError(f"must be {key.right}, not further keys")
    if isinstance(value, bool | int | float) and not _takes(key, value):
        raise ValueError(f"must be {key.right}{misread(node, text_wanted=takes_text(key))}")
    return _checked(key, value)


def takes_text(key: Key) -> bool:
    """Whether the key, or each element of its list, may be free text."""
    return not key.choices and bool({str, Path} & {*key.types, key.item})


def misread(node: YamlNode, *, text_wanted: bool) -> str:
    """The end of a sentence that says what YAML made of a word without quotes."""
    if node.text is None:
        return ""
    if isinstance(node.value, bool):
        read = "true" if node.value else "false"
    elif text_wanted and node.value is not None:
        read = "a number"
    else:
        return ""
    hint = ": put it in quotes" if text_wanted else ""
    return f"; YAML reads {node.text} without quotes as {read}{hint}"


def _takes(key: Key, value: bool | int | float) -> bool:
    if isinstance(value, bool):
        return bool in key.types
    return bool(key.types & {bool, int, float})


def _checked(key: Key, value: Any) -> Any:
    """What holds wherever the value came from."""
    if bool in key.types:
        word = str(value).strip().lower()
        return word if word in key.choices else _boolean(key, value)
    if isinstance(value, str):
        return _text(key, value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be {key.right}, and finite")
    return value


def _boolean(key: Key, value: Any) -> bool:
    word = str(value).strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError(f"must be {key.right}")


def _text(key: Key, text: str) -> Any:
    if key.item is not None or key.is_open:
        if key.is_open or is_section(key.item):
            raise ValueError(f"must be {key.right}, and can be set in config.yaml only")
        return text
    if text.lower() in key.choices:
        return text.lower()
    if key.types & {str, Path} and not text.strip():
        raise ValueError(f"must be {key.right}, and is empty")
    if not text.isprintable():
        raise ValueError(f"must be {key.right}, and holds a control character")
    if float in key.types:
        return _finite(key, text)
    return text


def _finite(key: Key, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"must be {key.right}") from None
    if not math.isfinite(number):
        raise ValueError(f"must be {key.right}, and finite")
    return number
