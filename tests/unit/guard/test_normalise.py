"""The second view: what it undoes, and that it does not depend on how a text was cut."""

import time
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ogp.guard.normalise import MAX_DROPPED, MAX_SPACES, Normaliser, NormalStream

NORMALISER = Normaliser()
HOSTILE = st.text(
    st.one_of(
        st.sampled_from(
            list("aAbn  .-_\n")
            + list("аеосрхВΑοіһ")
            + ["\u200b", "\u0301", "\u202e", "\U000e0061", "ｂ", "\u0e48", "\u093f", "\u093e", "\0"]
            + ["ﬁ", "㍿", "가", "🅱", "é", "İ", "ß", "\ufdfa"]
        ),
        st.characters(),
    ),
    max_size=120,
)


def pieces(text: str, cuts: list[int]) -> list[str]:
    """The text cut at the given places, taken modulo its length."""
    places = sorted({cut % (len(text) + 1) for cut in cuts})
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


@pytest.mark.parametrize(
    ("disguised", "plain"),
    [
        ("ba\u200bnn\u200d\u2060ed", "banned"),
        ("\ufeffban\u00adned", "banned"),
        ("\u202edennab\u202c", "dennab"),
        ("".join(chr(0xE0000 + ord(c)) for c in "banned it"), "banned it"),
        ("ｂａｎｎｅｄ", "banned"),
        ("𝖇𝖆𝖓𝖓𝖊𝖉", "banned"),
        ("ⓑⓐⓝⓝⓔⓓ", "banned"),
        ("🅱🅰🅽🅽🅴🅳", "BANNED"),
        ("🇧🇦🇳", "BAN"),
        ("ʙᴀɴɴᴇᴅ", "banned"),
        ("bаnnеd", "banned"),
        ("ΒANNED", "BANNED"),
        ("b\u0335a\u0301\u0302n\u0300n\u20dde\u0488d", "banned"),
        ("bánñëd", "banned"),
        ("b\u0e48a\u0e48n", "ban"),
        ("b a n n e d", "banned"),
        ("b.a-n_n*e|d", "banned"),
        ("b a n   i t s", "ban its"),
        ("b\0a\x08n", "ban"),
        ("ban\u00a0\u2003\n ned", "ban ned"),
        ("ﬁne", "fine"),
        ("ban\u2800ned", "ban ned"),
    ],
)
def test_undoes_a_disguise(disguised: str, plain: str) -> None:
    assert NORMALISER(disguised) == plain


@pytest.mark.parametrize(
    "text",
    [
        "An ordinary sentence, with 3.14 and a-b; (c) 'd'.",
        "привет мир",
        "Αθηνα",
        "中文字符",
        "हिन्दी",
        "ภาษาไทย",
        "a b",
        "plan b",
        "I am",
    ],
)
def test_leaves_plain_text_alone(text: str) -> None:
    assert NORMALISER(text) == text


def test_marks_that_are_letters_to_their_readers_stay() -> None:
    assert NORMALISER("ที่") == "ที่"


def test_a_ligature_of_a_whole_sentence_is_not_taken_apart() -> None:
    assert NORMALISER("\ufdfa") == "\ufdfa"


def test_long_white_space_is_kept_beyond_what_is_collapsed() -> None:
    assert NORMALISER("a" + " " * (MAX_SPACES + 9) + "b") == "a" + " " * (1 + 9) + "b"


@settings(max_examples=400, deadline=None)
@given(HOSTILE, st.lists(st.integers(0, 400), max_size=12))
def test_the_view_does_not_depend_on_how_the_text_was_cut(text: str, cuts: list[int]) -> None:
    stream = NormalStream(NORMALISER)
    view = "".join(stream.feed(piece) for piece in pieces(text, cuts))
    assert view + stream.rest() == NORMALISER(text)


@pytest.mark.parametrize("alphabet", ["ab .", "aо", "aоб ", "a \n", "a\u0e48о"])
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_view_of_single_characters_is_the_view_of_the_whole(
    alphabet: str, data: st.DataObject
) -> None:
    """Few characters, in runs: such texts are all made of what a step has to wait for."""
    runs = data.draw(
        st.lists(st.tuples(st.sampled_from(alphabet), st.sampled_from([1, 1, 1, 2, 9, 31, 40])))
    )
    text = "".join(character * times for character, times in runs)
    stream = NormalStream(NORMALISER)
    view = "".join(stream.feed(character) for character in text)
    assert view + stream.rest() == NORMALISER(text)


def test_every_short_mixture_of_letters_and_separators_is_joined_alike_in_pieces() -> None:
    for characters in product("a. ", repeat=8):
        stream = NormalStream(NORMALISER)
        view = "".join(map(stream.feed, characters))
        assert view + stream.rest() == NORMALISER("".join(characters))


@settings(max_examples=200, deadline=None)
@given(HOSTILE, HOSTILE)
def test_looking_at_the_rest_changes_nothing(before: str, after: str) -> None:
    stream = NormalStream(NORMALISER)
    view = stream.feed(before)
    stream.rest()
    assert view + stream.feed(after) + stream.rest() == NORMALISER(before + after)


@settings(max_examples=200, deadline=None)
@given(HOSTILE)
def test_pending_is_the_most_that_may_still_come(text: str) -> None:
    stream = NormalStream(NORMALISER)
    stream.feed(text)
    assert len(stream.rest()) <= stream.pending


@given(st.text(max_size=60))
def test_output_is_bounded(text: str) -> None:
    assert len(NORMALISER(text)) <= 8 * len(text)


@pytest.mark.parametrize("dropped", ["\u200b", "\u0301", "\U000e0001", "\0"])
def test_a_long_run_of_unseen_characters_is_noticed_however_it_is_cut(dropped: str) -> None:
    whole, cut = NormalStream(NORMALISER), NormalStream(NORMALISER)
    whole.feed("a" + dropped * (MAX_DROPPED + 1))
    for _ in range(MAX_DROPPED + 1):
        cut.feed(dropped)
    assert whole.is_padded
    assert cut.is_padded


def test_runs_with_something_seen_between_are_not_added_up() -> None:
    stream = NormalStream(NORMALISER)
    for _ in range(3):
        stream.feed("\u0301" * MAX_DROPPED)
        stream.feed("a")
    assert not stream.is_padded


@pytest.mark.parametrize(
    "seed", ["a b ", "а", "bа", " ", "\u0301", "\u200b", "中文 ", "а.", "b\u0e48", "㍿", "ab "]
)
def test_time_is_linear(seed: str) -> None:
    def cost_s(chars: int) -> float:
        text = seed * (chars // len(seed))
        times = []
        for _ in range(3):
            started = time.thread_time()
            NORMALISER(text)
            times.append(time.thread_time() - started)
        return min(times)

    assert cost_s(100_000) < 12 * cost_s(25_000) + 0.01
