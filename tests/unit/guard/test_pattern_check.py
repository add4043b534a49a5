"""Which operator patterns may run."""

import time

import pytest

from ogp.guard.pattern_check import UnsafePatternError, compile_checked

SAFE = [
    (r"secret\s+plan", 200),
    (r"\b(?:\d[ -]*?){13,16}\b", 200),
    (r"[\w.+-]+@[\w.-]+\.[a-z]{2,}", 200),
    (r"password.*secret", 200),
    (r"\d{3}-\d{2}-\d{4}", 200),
    (r"(?:foo|bar)+baz", 200),
    (r"foo|foobar", 100),
    (r"(?:\w+\s){0,5}end", 200),
    (r"AKIA[0-9A-Z]{16}", 200),
    (r"\bproject\s+(?:x|y)\b", 200),
    (r"^foo$", 10),
    (r"(?<!a)b(?=c)", 10),
    (r"https?://[^\s]+/secret", 200),
    (r"(?:[^,]*,){5}x", 200),
    (r"a++b", 50),
    (r"(?>a+)b", 50),
    (r"conf.{0,40}ident.{0,40}ial", 200),
    (r"(?:\+\d{1,2}\s)?\(?\d{3}\)?[\s.-]\d{3}[\s.-]\d{4}", 50),
    (r"[^\x00-\x7f]\S", 5),
    (r"[\D]x", 5),
]


@pytest.mark.parametrize(("pattern", "max_length"), SAFE)
def test_everyday_patterns_are_accepted(pattern: str, max_length: int) -> None:
    compiled, _ = compile_checked(pattern, max_length)
    assert compiled.pattern == pattern


@pytest.mark.parametrize(
    ("pattern", "max_length", "reason"),
    [
        (r"(a+)+b", 200, "nests quantifiers"),
        (r"(a|aa)+b", 200, "nests quantifiers"),
        (r"(a|b|ab)*c", 200, "nests quantifiers"),
        (r"(\w+\s?)*x", 200, "nests quantifiers"),
        (r"(x+x+)+y", 200, "nests quantifiers"),
        (r"^(([a-z])+.)+[A-Z]([a-z])+$", 200, "nests quantifiers"),
        (r"(\d+|\w+)+!", 100, "nests quantifiers"),
        (r"(a|a)*b", 200, "match the same text"),
        (r"(.*)*x", 200, "can be empty"),
        (r"(a?){25}a{25}", 200, "can be empty"),
        (r"(?:a|b?)+x", 100, "can be empty"),
        ("a?" * 30 + "a" * 30, 200, "steps per character"),
        (r"\d+\d+\d+x", 200, "steps per character"),
        (r".*a.*b.*c", 200, "steps per character"),
        (r"\s*\s*\s*x", 200, "steps per character"),
        (r"(?=\d+\d+x)y", 200, "steps per character"),
        (r"x*", 200, "the empty text"),
        (r"(", 200, "not a regular expression"),
        ("a" * 501, 1000, "at most 500 characters"),
        (r"a{300}", 200, "can match 300 characters"),
        (r"(a)\1", 20, "refer back"),
        (r"(a)?(?(1)b|c)", 20, "refer back"),
    ],
)
def test_patterns_that_could_run_away_are_refused(
    pattern: str, max_length: int, reason: str
) -> None:
    with pytest.raises(UnsafePatternError, match=reason):
        compile_checked(pattern, max_length)


def test_an_unbounded_pattern_is_told_from_a_bounded_one() -> None:
    assert compile_checked(r"a.*b", 50)[1]
    assert not compile_checked(r"a.{0,9}b", 50)[1]


def test_case_does_not_matter() -> None:
    compiled, _ = compile_checked("secret", 10)
    assert compiled.search("SECRET")


@pytest.mark.parametrize(("pattern", "max_length"), SAFE)
def test_what_is_accepted_ends_soon_on_a_hostile_text(pattern: str, max_length: int) -> None:
    compiled, _ = compile_checked(pattern, max_length)
    started = time.thread_time()
    for seed in ("a", "1", " ", "a.", "1 ", "foo", "a,", "password", "a b ", "https://a/", "conf"):
        compiled.search((seed * 2 * max_length)[: 2 * max_length])
    assert time.thread_time() - started < 1.0
