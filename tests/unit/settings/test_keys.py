from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from ogp.settings.guard_schema import RegexPattern, SecretsSettings
from ogp.settings.keys import (
    all_keys,
    all_sections,
    describe,
    entry_annotation,
    is_network,
    is_section,
)
from ogp.settings.schema import Settings

PATTERNS = "guard.input_scanners.regex.patterns"


def test_every_key_has_the_default_the_settings_have() -> None:
    settings = Settings()
    for name, key in all_keys().items():
        value: object = settings
        for part in name.split("."):
            value = getattr(value, part)
        assert key.default == value, name


def test_a_default_is_that_of_its_place_and_not_of_its_class() -> None:
    assert SecretsSettings().enabled is True
    assert all_keys()["guard.output_scanners.secrets.enabled"].default is False


def test_every_key_has_a_meaning() -> None:
    assert [name for name, key in all_keys().items() if not key.meaning] == []


def test_every_key_says_what_it_takes() -> None:
    assert [name for name, key in all_keys().items() if "another value" in key.right] == []


def test_sections_are_all_that_keys_stand_in() -> None:
    assert {"server", "guard", "guard.input_scanners.regex"} <= all_sections()
    assert not all_sections() & set(all_keys())


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("server.port", "a whole number from 0 to 65535"),
        ("queue.parallel", "one of auto, learned or a whole number of at least 1"),
        ("queue.max_queue", "a whole number from 0 to 16384"),
        ("auth.enabled", "true or false"),
        ("server.host", "text"),
        ("logging.level", "one of debug, info, warning, error"),
        ("logging.file", "a path or null"),
        ("access.public_paths", "a list of texts"),
        ("access.ip_allow", "a list of addresses and networks such as 10.0.0.0/8 or fd00::/8"),
        (PATTERNS, "a list of entries with name, pattern, max_length"),
        ("routing.assignments", "names, each with text"),
        (
            "servers",
            "names, each with an entry with host, port, url, name, priority, max_memory_gb, "
            "enabled, weight, parallel, tags",
        ),
    ],
)
def test_what_a_key_takes_is_said_in_words(name: str, right: str) -> None:
    assert all_keys()[name].right == right


@pytest.mark.parametrize(
    ("annotation", "right"),
    [
        (Annotated[float, Field(gt=0)], "a number above 0"),
        (Annotated[float, Field(gt=0, le=1)], "a number above 0 up to 1"),
        (Annotated[int, Field(lt=5)], "a whole number below 5"),
        (tuple[int, ...], "a list of entries, each a whole number"),
        (RegexPattern, "an entry with name, pattern, max_length"),
        (Literal["a"] | None, "a or null"),
        (complex, "another value"),
    ],
)
def test_types_are_described(annotation: object, right: str) -> None:
    assert describe(annotation) == right


def test_types_and_choices_of_a_key() -> None:
    keys = all_keys()
    assert keys["queue.parallel"].types == {str, int}
    assert keys["queue.parallel"].choices == ("auto", "learned")
    assert keys["logging.file"].types == {Path, type(None)}
    assert keys["server.port"].choices == ()


def test_the_items_of_lists() -> None:
    keys = all_keys()
    assert keys["access.public_paths"].item is str
    assert is_network(keys["access.ip_allow"].item)
    assert is_section(keys[PATTERNS].item)
    assert keys["server.port"].item is None
    assert not is_network(str)
    assert not is_section(IPv4Network)


def test_types_inside_a_list_are_found() -> None:
    annotation = all_keys()[PATTERNS].annotation
    assert describe(entry_annotation(annotation, (0, "max_length"))) == (
        "a whole number from 1 to 1000"
    )
    assert entry_annotation(annotation, (0, "nowhere")) is RegexPattern


def test_keys_with_names_of_the_operators_own_are_told_apart() -> None:
    keys = all_keys()
    assert keys["servers"].is_open
    assert keys["servers"].item is None
    assert not keys[PATTERNS].is_open
    port = entry_annotation(keys["servers"].annotation, ("fast", "port"))
    assert describe(port) == "a whole number from 1 to 65535"
