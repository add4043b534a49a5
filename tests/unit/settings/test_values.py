from pathlib import Path

import pytest

from ogp.settings.keys import Key, all_keys
from ogp.settings.values import from_text, from_yaml, misread, takes_text
from ogp.settings.yaml_file import YamlNode, parse_yaml

PATTERNS = "guard.input_scanners.regex.patterns"


def key(name: str) -> Key:
    return all_keys()[name]


def node(written: str) -> YamlNode:
    top, _ = parse_yaml(f"a: {written}\n".encode(), "c.yaml")
    assert top is not None
    return top.at(("a",))


@pytest.mark.parametrize("word", ["1", "true", "yes", "on", "TRUE", "Yes"])
def test_words_for_true(word: str) -> None:
    assert from_text(key("auth.enabled"), word) is True


@pytest.mark.parametrize("word", ["0", "false", "no", "off", "OFF"])
def test_words_for_false(word: str) -> None:
    assert from_text(key("auth.enabled"), word) is False


@pytest.mark.parametrize("word", ["2", "t", "enabled", "null", "1.0"])
def test_other_words_are_no_booleans(word: str) -> None:
    with pytest.raises(ValueError, match=r"^must be true or false$"):
        from_text(key("auth.enabled"), word)


@pytest.mark.parametrize("word", ["null", "None"])
def test_null_empties_a_key_that_may_be_null(word: str) -> None:
    assert from_text(key("logging.file"), word) is None


def test_null_is_a_word_for_other_keys() -> None:
    assert from_text(key("server.host"), "null") == "null"


@pytest.mark.parametrize("number", ["inf", "-inf", "nan", "1e999"])
def test_numbers_without_end_are_refused(number: str) -> None:
    with pytest.raises(ValueError, match=r"and finite$"):
        from_text(key("queue.request_timeout_s"), number)


@pytest.mark.parametrize("number", [".inf", "-.inf", ".nan"])
def test_numbers_without_end_are_refused_in_yaml(number: str) -> None:
    with pytest.raises(ValueError, match=r"and finite$"):
        from_yaml(key("queue.request_timeout_s"), node(number))


def test_text_for_a_number_is_read_as_one() -> None:
    assert from_text(key("queue.request_timeout_s"), "1.5") == 1.5
    with pytest.raises(ValueError, match=r"^must be a number above 0 up to 31536000$"):
        from_text(key("queue.request_timeout_s"), "soon")


def test_fixed_words_are_taken_in_any_case() -> None:
    assert from_text(key("logging.level"), "INFO") == "info"
    assert from_yaml(key("queue.parallel"), node("AUTO")) == "auto"


@pytest.mark.parametrize("name", ["server.host", "data_dir"])
def test_empty_text_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"and is empty$"):
        from_yaml(key(name), node("''"))


@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "a\udcff", "a\x1b[31m"])
def test_control_characters_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"and holds a control character$"):
        from_text(key("data_dir"), text)


def test_patterns_cannot_come_as_text() -> None:
    with pytest.raises(ValueError, match=r"can be set in config\.yaml only"):
        from_text(key(PATTERNS), "x")


def test_lists_may_come_as_text() -> None:
    assert from_text(key("access.public_paths"), "/up, /health") == "/up, /health"


def test_a_key_without_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^has no value; it must be a list of texts"):
        from_yaml(key("access.public_paths"), node(""))


def test_null_in_yaml_is_a_value_where_null_is_allowed() -> None:
    assert from_yaml(key("logging.file"), node("null")) is None


def test_further_keys_below_a_key_are_refused() -> None:
    with pytest.raises(ValueError, match="not further keys"):
        from_yaml(key("server.port"), node("{x: 1}"))


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        ("server.port", "010", "YAML reads 010 as 8; write a decimal number"),
        ("server.host", "12:30", "YAML reads 12:30 as 750"),
        ("server.host", "on", "YAML reads on without quotes as true: put it in quotes"),
        ("server.host", "off", "YAML reads off without quotes as false: put it in quotes"),
        ("server.host", "127", "YAML reads 127 without quotes as a number: put it in quotes"),
        ("server.port", "yes", "must be a whole number from 0 to 65535; YAML reads yes"),
        ("data_dir", "2026-11-20", "YAML reads this as a date"),
        ("access.ip_allow", "[10.0.0.1, 12:30]", "YAML reads 12:30 as 750"),
        ("access.ip_allow", "167772161", "must be a list of addresses and networks"),
        ("auth.enabled", "2", "must be true or false"),
        ("auth.enabled", "[true]", "must be true or false"),
    ],
)
def test_what_yaml_turned_into_something_else_is_refused(
    name: str, written: str, message: str
) -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        from_yaml(key(name), node(written))
    assert message in str(caught.value)


def test_a_boolean_is_never_taken_for_a_number() -> None:
    with pytest.raises(
        ValueError, match="must be one of auto, learned or a whole number"
    ) as caught:
        from_yaml(key("queue.parallel"), node("yes"))
    assert "put it in quotes" not in str(caught.value)


@pytest.mark.parametrize(("written", "value"), [("true", True), ("off", False), ("'on'", True)])
def test_booleans_in_yaml(written: str, value: bool) -> None:
    assert from_yaml(key("auth.enabled"), node(written)) is value


@pytest.mark.parametrize(("written", "value"), [("8080", 8080), ("'8080'", "8080")])
def test_numbers_in_yaml_are_passed_on(written: str, value: object) -> None:
    assert from_yaml(key("server.port"), node(written)) == value


def test_keys_of_free_text() -> None:
    assert takes_text(key("server.host"))
    assert takes_text(key("access.public_paths"))
    assert not takes_text(key("logging.level"))
    assert not takes_text(key("server.port"))


def test_there_is_nothing_to_explain_about_quoted_text_null_and_wanted_numbers() -> None:
    assert misread(node("'x'"), text_wanted=True) == ""
    assert misread(node("null"), text_wanted=True) == ""
    assert misread(node("5"), text_wanted=False) == ""


def test_a_path_given_as_a_flag_stays_as_it_is() -> None:
    assert from_text(key("data_dir"), "here") == "here"
    assert Path in key("data_dir").types


def test_names_of_the_operators_own_stand_in_the_file_only() -> None:
    servers = {"fast": {"host": "x"}}
    assert from_yaml(key("servers"), node("{fast: {host: x}}")) == servers
    with pytest.raises(ValueError, match=r"^must be names, each with text$"):
        from_yaml(key("routing.assignments"), node("[x]"))
    with pytest.raises(ValueError, match=r"can be set in config\.yaml only"):
        from_text(key("servers"), "{}")
