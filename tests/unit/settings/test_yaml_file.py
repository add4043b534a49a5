import os
from pathlib import Path

import pytest

from ogp.settings.problems import Problem, SettingsError
from ogp.settings.yaml_file import (
    MAX_BYTES,
    MAX_DEPTH,
    YamlNode,
    parse_yaml,
    read_file,
)


def parsed(text: str) -> YamlNode:
    node, problems = parse_yaml(text.encode(), "c.yaml")
    assert problems == ()
    assert node is not None
    return node


def refusal(content: bytes | str) -> Problem:
    raw = content.encode() if isinstance(content, str) else content
    with pytest.raises(SettingsError) as caught:
        parse_yaml(raw, "c.yaml")
    (problem,) = caught.value.problems
    return problem


def test_values_keep_their_lines() -> None:
    node = parsed("a: 1\nb:\n  c: [x,\n    y]\n")
    assert node.value == {"a": 1, "b": {"c": ["x", "y"]}}
    entries = dict(node.entries)
    assert (entries["a"].key_line, entries["b"].key_line) == (1, 2)
    assert node.at(("b", "c", 1)).line == 4


def test_at_stops_at_the_last_node_that_exists() -> None:
    node = parsed("a: [x]\n")
    assert node.at(("a", 5)) == node.at(("a",))
    assert node.at(("nowhere", "at", "all")) is node


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "null\n", "\ufeff"])
def test_an_empty_file_has_no_top(text: str) -> None:
    assert parse_yaml(text.encode(), "c.yaml") == (None, ())


def test_a_byte_order_mark_is_skipped() -> None:
    assert parsed("\ufeffa: 1").value == {"a": 1}


@pytest.mark.parametrize("text", ["- a\n", "[]\n", "just words\n", "42\n"])
def test_a_file_that_is_no_mapping_is_refused(text: str) -> None:
    assert "must hold lines of the form `key: value`" in refusal(text).message


def test_a_key_that_stands_twice_is_told_with_both_lines() -> None:
    _, problems = parse_yaml(b"a: 1\nb:\n  x: 1\n  x: 2\na: 3\n", "c.yaml")
    assert [str(problem) for problem in problems] == [
        "x (c.yaml:4): this key already stands in line 3; keep one",
        "a (c.yaml:5): this key already stands in line 1; keep one",
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb:\n\tc: 2\n", 3, "a tab stands where YAML wants spaces"),
        ("a: 1\n\tb: 2\n", 2, "a tab stands where YAML wants spaces"),
        ("a: [1\n", 2, "did not find expected"),
        ("a: 'x\n", 2, "unexpected end of stream"),
        ("a: 1\n---\nb: 1\n", 2, "found another document"),
        ("a: *nowhere\n", 1, "undefined alias"),
        ("a: b: c\n", 1, "mapping values are not allowed"),
        ("a: 1\nb: \x00\n", 2, "control character"),
        ("? [a]\n: 1\n", 1, "a key that is not a plain name"),
        ("a: 1\n<<: 5\n", 2, "`<<` that names no mapping"),
    ],
)
def test_broken_yaml_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    problem = refusal(text)
    assert problem.source == f"c.yaml:{line}"
    assert words in problem.message


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"a: 1\nb: \xff\n", 2), ("a: 1".encode("utf-16"), 1), (b"a: \xc0\xaf", 1)],
)
def test_a_file_that_is_not_utf8_is_refused_with_its_line(content: bytes, line: int) -> None:
    problem = refusal(content)
    assert "UTF-8" in problem.message
    assert problem.source == f"c.yaml:{line}"


def test_messages_about_broken_yaml_do_not_repeat_the_file() -> None:
    assert "hunter2" not in str(refusal("password: hunter2: x\n"))


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused_and_does_not_end_the_process(opening: str) -> None:
    assert f"deeper than {MAX_DEPTH}" in refusal("a:\n  " + opening * 100_000).message


def test_nesting_up_to_the_limit_is_read() -> None:
    depth = MAX_DEPTH - 1
    assert parsed("a: " + "[" * depth + "]" * depth).is_mapping


def test_aliases_that_stand_for_billions_of_values_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "aliases without end" in refusal("\n".join(lines)).message


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: &a {b: *a}\n", "a: &a {<<: *a}\n"])
def test_an_alias_inside_itself_is_refused(text: str) -> None:
    assert "aliases without end" in refusal(text).message


def test_merged_keys_come_from_the_anchor_unless_written_here() -> None:
    node = parsed("d: &d {x: 1, y: 2}\np:\n  <<: *d\n  y: 3\n")
    assert node.at(("p",)).value == {"x": 1, "y": 3}
    assert node.at(("p", "x")).line == 1


def test_of_several_merged_mappings_the_first_wins() -> None:
    node = parsed("d: &d {x: 1}\ne: &e {x: 2, y: 2}\np: {<<: [*d, *e]}\n")
    assert node.at(("p",)).value == {"x": 1, "y": 2}


def test_merging_doubled_lists_of_mappings_stays_bounded() -> None:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 28)]
    assert "aliases without end" in refusal("\n".join(lines)).message


@pytest.mark.parametrize(
    ("written", "read"),
    [("010", 8), ("0o10", "0o10"), ("0x1F", 31), ("0b11", 3), ("12:30", 750), ("-07", -7)],
)
def test_numbers_that_are_not_decimal_are_traps(written: str, read: object) -> None:
    node = parsed(f"a: {written}\n").at(("a",))
    assert node.value == read
    assert bool(node.trap) == isinstance(read, int)


@pytest.mark.parametrize(
    ("written", "value"),
    [("0", 0), ("-5", -5), ("+5", 5), ("1_000", 1000), ("1.5", 1.5), (".5", 0.5), ("2.", 2.0)],
)
def test_decimal_numbers_are_no_traps(written: str, value: float) -> None:
    node = parsed(f"a: {written}\n").at(("a",))
    assert (node.value, node.trap, node.text) == (value, "", written)


def test_a_sexagesimal_fraction_is_a_trap() -> None:
    assert "YAML reads 1:30.5 as 90.5" in parsed("a: 1:30.5\n").at(("a",)).trap


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("2026-11-20", "a date"),
        ("!!binary aGk=", "binary"),
        ("!!python/name:os.system x", "python/name:os.system"),
        ("!mine x", "!mine"),
    ],
)
def test_other_types_are_traps_and_are_never_constructed(written: str, kind: str) -> None:
    node = parsed(f"a: {written}\n").at(("a",))
    assert isinstance(node.value, str)
    assert f"YAML reads this as {kind}" in node.trap


def test_a_number_of_thousands_of_digits_is_a_trap() -> None:
    assert "cannot read this as a number" in parsed(f"a: {'9' * 5000}\n").at(("a",)).trap


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "true", "False"])
def test_booleans_keep_the_word_that_was_written(word: str) -> None:
    node = parsed(f"a: {word}\n").at(("a",))
    assert isinstance(node.value, bool)
    assert (node.text, node.written) == (word, word)


def test_quoted_text_is_text() -> None:
    node = parsed("a: '010'\n").at(("a",))
    assert (node.value, node.text, node.trap) == ("010", None, "")


def test_a_list_is_written_in_the_words_of_the_file() -> None:
    assert parsed("a: [no, x, 010]\n").at(("a",)).written == ["no", "x", "010"]


def test_keys_are_taken_as_written_whatever_yaml_makes_of_them() -> None:
    assert [name for name, _ in parsed("on: 1\n8080: 2\n").entries] == ["on", "8080"]


def test_read_file_returns_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"a: 1\n")
    assert read_file(path) == b"a: 1\n"


def file_refusal(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        read_file(path)
    (problem,) = caught.value.problems
    assert problem.key == str(path)
    return problem.message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert file_refusal(tmp_path / "none.yaml") == "cannot be read: No such file or directory"


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert file_refusal(tmp_path) == "is a directory; name a YAML file"


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert file_refusal(tmp_path / "pipe") == "is no regular file; name a YAML file"


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert file_refusal(path) == f"is larger than {MAX_BYTES} bytes"
