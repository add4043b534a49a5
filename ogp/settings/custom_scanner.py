"""What an entry of `guard.custom` may say; nothing of it is imported here."""

import re
from collections.abc import Mapping, Sequence
from keyword import iskeyword
from typing import Any

import yaml

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
IMPORT = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


def checked_name(name: str) -> str:
    """It stands in audit rows and headers, between commas and colons."""
    if not NAME.fullmatch(name):
        raise ValueError("must be 1 to 64 of the characters A-Z a-z 0-9 _ . -, a letter first")
    return name


def checked_import(path: str) -> str:
    """Its form; whether it is there is found out when it is needed."""
    if not IMPORT.fullmatch(path):
        raise ValueError("must be of the form package.module:Class")
    return path


def checked_parameters(parameters: Sequence[str]) -> Sequence[str]:
    """Whether `keyword_arguments` can read them."""
    keyword_arguments(parameters)
    return parameters


def keyword_arguments(parameters: Sequence[str]) -> Mapping[str, Any]:
    """`["limit=3", "words=[a, b]"]` as `{"limit": 3, "words": ["a", "b"]}`.

    Raises:
        ValueError: names the parameter, never its value.
    """
    found: dict[str, Any] = {}
    for parameter in parameters:
        name, separator, text = (part.strip() for part in parameter.partition("="))
        if not separator or not name.isidentifier() or iskeyword(name):
            raise ValueError("must be a list of texts of the form name=value")
        if name in found:
            raise ValueError(f"has {name} twice")
        try:
            found[name] = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise ValueError(f"has a value of {name} that is no YAML") from None
    return found
