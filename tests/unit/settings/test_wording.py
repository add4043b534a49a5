"""Every refusal of the schema, through the loader, as an operator would read it."""

import re

import pytest
from pydantic import ValidationError

from ogp.settings.layers import Given
from ogp.settings.load import load_content
from ogp.settings.problems import SettingsError
from ogp.settings.schema import Settings
from ogp.settings.wording import problems_of

JARGON = re.compile(
    r"input should|valid|constrained|literal|type=|pydantic|instance|parse|unable|permitted|tuple"
)


def told(text: str, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_content(text.encode(), "c.yaml", environ=environ, flags={})
    return [str(problem) for problem in caught.value.problems]


PATTERNS = "guard.input_scanners.regex.patterns"
PHRASES = "guard.input_scanners.ban_substrings.substrings"
PORT = "must be a whole number from 0 to 65535"
SECONDS = "must be a number above 0 up to 31536000"
PARALLEL = "must be one of auto, learned or a whole number of at least 1"
LEVEL = "must be one of debug, info, warning, error"
NETWORKS = "must be a list of addresses and networks such as 10.0.0.0/8 or fd00::/8"
NO_NETWORKS = f"{NETWORKS}; these are none: x, y"
BOOLEAN = "YAML reads no without quotes as false: put it in quotes"
LENGTH = "must be a whole number from 1 to 1000"
TEXTS = "must be a list of texts"
NUMBER = "YAML reads 5 without quotes as a number: put it in quotes"
KEYS = "name, pattern, max_length"
UNKNOWN = f"there is no such key here; the keys are {KEYS}"


def nested(key: str, written: str) -> str:
    """`a.b: x` as `{a: {b: x}}`."""
    *sections, last = key.split(".")
    return "".join(f"{{{section}: " for section in sections) + (
        f"{{{last}: {written}}}" + "}" * len(sections)
    )


@pytest.mark.parametrize(
    ("key", "written", "shown", "message"),
    [
        ("server.port", "70000", "70000", PORT),
        ("server.port", "-1", "-1", PORT),
        ("server.port", "x", "x", PORT),
        ("server.port", "1.5", "1.5", PORT),
        ("server.port", "[1]", "1", PORT),
        ("server.workers", "0", "0", "must be a whole number from 1 to 64"),
        ("server.host", "[a]", "a", "must be text"),
        ("data_dir", "[a]", "a", "must be a path"),
        ("queue.request_timeout_s", "0", "0", SECONDS),
        ("queue.request_timeout_s", "[]", "[]", SECONDS),
        ("queue.parallel", "fast", "fast", PARALLEL),
        ("queue.parallel", "0", "0", PARALLEL),
        ("logging.level", "loud", "loud", LEVEL),
        ("logging.level", "5", "5", LEVEL),
        ("logging.file", "[a]", "a", "must be a path or null"),
        ("upstream.url", "'h:1'", "h:1", "url must look like http://HOST:PORT"),
        ("access.ip_allow", "[fd00::/8, x, y]", "fd00::/8, x, y", NO_NETWORKS),
        ("access.ip_allow", "'x,y'", "x,y", NO_NETWORKS),
        ("access.public_paths", "5", "5", f"{TEXTS}; {NUMBER}"),
    ],
)
def test_a_value_the_schema_refuses_is_said_in_words(
    key: str, written: str, shown: str, message: str
) -> None:
    (problem,) = told(nested(key, written))
    assert problem == f"{key} = {shown} (c.yaml:1): {message}"
    assert not JARGON.search(problem)


@pytest.mark.parametrize(
    ("key", "written", "entry", "message"),
    [
        ("access.public_paths", "[/up, [x]]", "[1] = x", "must be text"),
        (PHRASES, "[x, no]", "[1] = false", f"must be text; {BOOLEAN}"),
        (PATTERNS, "[5]", "[0] = 5", f"must be an entry with {KEYS}"),
        (PATTERNS, "[{name: x}]", "[0].pattern", "is missing; it must be text"),
        (PATTERNS, "[{name: x, pattern: y, max_length: 0}]", "[0].max_length = 0", LENGTH),
        (PATTERNS, "[{name: x, pattern: y, lenght: 9}]", "[0].lenght", UNKNOWN),
        (PATTERNS, "[{name: 5, pattern: y}]", "[0].name = 5", f"must be text; {NUMBER}"),
    ],
)
def test_an_entry_the_schema_refuses_is_said_in_words(
    key: str, written: str, entry: str, message: str
) -> None:
    (problem,) = told(nested(key, written))
    assert problem == f"{key}{entry} (c.yaml:1): {message}"
    assert not JARGON.search(problem)


def test_the_line_of_an_entry_is_told_and_not_that_of_its_list() -> None:
    text = (
        "guard:\n  input_scanners:\n    regex:\n      patterns:\n"
        "        - {name: a, pattern: b}\n        - name: c\n          pattern: d\n"
        "          max_length: 9999\n"
    )
    assert told(text)[0].startswith(f"{PATTERNS}[1].max_length = 9999 (c.yaml:8)")


def test_a_wrong_value_from_the_environment_names_the_variable() -> None:
    assert told("", IP_WHITELIST="10.0.0.0/8,x") == [
        f"access.ip_allow = 10.0.0.0/8,x (environment IP_WHITELIST): {NETWORKS}; these are none: x"
    ]


def test_an_entry_of_a_list_in_the_environment_is_not_looked_for_in_the_file() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"access": {"public_paths": [1]}})
    given = {"access.public_paths": Given([1], "X", "environment X")}
    (problem,) = problems_of(caught.value, given)["access.public_paths"]
    assert str(problem) == "access.public_paths[0] = 1 (environment X): must be text"


def test_a_check_over_two_keys_blames_one_that_was_given() -> None:
    assert told("proxy_host: 0.0.0.0\nauth_enabled: false\n")[0].startswith(
        "auth.enabled = false (c.yaml:2): auth.enabled is false and server.host is '0.0.0.0'"
    )


def test_a_default_that_is_refused_is_said_to_be_one() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"server": {"port": -1}})
    (problem,) = problems_of(caught.value, {})["server.port"]
    assert problem.source == "default"


def test_a_problem_is_told_once() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"queue": {"parallel": "x"}})
    assert len(caught.value.errors()) == 2
    assert len(problems_of(caught.value, {})["queue.parallel"]) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "servers:\n  fast: {host: x, port: 0}\n",
            "servers.fast.port = 0 (c.yaml:2): must be a whole number from 1 to 65535",
        ),
        (
            "servers:\n  fast: {hots: x}\n",
            "servers.fast.hots (c.yaml:2): there is no such key here; the keys are host, port, "
            "url, name, priority, max_memory_gb, enabled, weight, parallel, tags",
        ),
        (
            "servers:\n  fast: {url: http://x, host: y}\n",
            "servers.fast = {...} (c.yaml:2): needs host, or else url",
        ),
        ("servers:\n  fast: 1\n", "servers.fast = 1 (c.yaml:2): must be an entry with host"),
        (
            "routing:\n  memory_overrides:\n    llama3: -1\n",
            "routing.memory_overrides.llama3 = -1 (c.yaml:3): must be a number above 0",
        ),
    ],
)
def test_mistakes_below_names_of_the_operators_own(text: str, message: str) -> None:
    assert any(line.startswith(message) for line in told(text)), told(text)
