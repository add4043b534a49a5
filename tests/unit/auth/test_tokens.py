"""The token grammar has one spelling per token and never shows a secret."""

import re
import zlib
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ogp.auth.tokens import ALPHABET, MintedToken, mint, parse, token_preview

base62 = st.sampled_from(ALPHABET)
GOOD = mint()


def test_minted_token_has_the_documented_form() -> None:
    assert re.fullmatch(r"ogp_[0-9A-Za-z]{8}_[0-9A-Za-z]{36}", mint().text)


def test_minted_token_parses_to_its_own_parts() -> None:
    token = mint()
    parsed = parse(token.text)
    assert parsed is not None
    assert (parsed.id, parsed.secret) == (token.id, token.secret)


def test_minted_tokens_differ_in_id_and_secret() -> None:
    tokens = [mint() for _ in range(200)]
    assert len({token.id for token in tokens}) == len({token.secret for token in tokens}) == 200


def test_minted_tokens_use_the_whole_alphabet() -> None:
    assert set("".join(mint().secret for _ in range(200))) == set(ALPHABET)


def test_checksum_is_the_crc32_of_what_precedes_in_base62() -> None:
    body, checksum = GOOD.text[:-6], GOOD.text[-6:]
    value = 0
    for character in checksum:
        value = value * 62 + ALPHABET.index(character)
    assert value == zlib.crc32(body.encode())


@given(place=st.integers(0, 48), character=st.one_of(base62, st.characters()))
def test_any_single_changed_character_is_refused(place: int, character: str) -> None:
    assume(GOOD.text[place] != character)
    assert parse(GOOD.text[:place] + character + GOOD.text[place + 1 :]) is None


@given(place=st.integers(0, 47))
def test_two_swapped_neighbours_are_refused(place: int) -> None:
    text = GOOD.text
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assume(swapped != text)
    assert parse(swapped) is None


@given(extra=st.text(min_size=1, max_size=3), place=st.integers(0, 49))
def test_any_inserted_text_is_refused(extra: str, place: int) -> None:
    assert parse(GOOD.text[:place] + extra + GOOD.text[place:]) is None


@given(length=st.integers(0, 48))
def test_every_prefix_is_refused(length: int) -> None:
    assert parse(GOOD.text[:length]) is None


@given(noise=st.text(max_size=80))
def test_noise_is_refused(noise: str) -> None:
    assert parse(noise) is None


@given(
    token_id=st.text(base62, min_size=8, max_size=8),
    secret=st.text(base62, min_size=30, max_size=30),
)
def test_whatever_parses_is_spelled_exactly_as_it_was_minted(token_id: str, secret: str) -> None:
    body = f"ogp_{token_id}_{secret}"
    value, digits = zlib.crc32(body.encode()), ""
    for _ in range(6):
        value, digit = divmod(value, 62)
        digits = ALPHABET[digit] + digits
    parsed = parse(body + digits)
    assert parsed is not None
    assert f"ogp_{parsed.id}_{parsed.secret}{digits}" == body + digits


@pytest.mark.parametrize(
    "text",
    [
        "",
        GOOD.text + "\n",
        " " + GOOD.text,
        GOOD.text + "\0",
        GOOD.text * 2,
        GOOD.text.upper(),
        GOOD.text.replace("ogp", "OGP"),
        GOOD.text + "," + GOOD.text,
        "ogp_' OR 1=1_" + GOOD.text[13:],
        "ogp_%%%%%%%%_" + GOOD.text[13:],
        "٠" * 49,
        "x" * 10_000_000,
    ],
)
def test_other_spellings_are_refused(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("render", [repr, str, "{!r}".format, lambda token: f"{token}"])
def test_no_rendering_shows_the_secret(render: Callable[[object], str]) -> None:
    for token in (GOOD, parse(GOOD.text)):
        assert GOOD.id in render(token)
        assert GOOD.secret not in render(token)
        assert GOOD.text[-6:] not in render(token)


def test_preview_names_the_id_only() -> None:
    token = MintedToken(id="AbCd1234", secret="s" * 30, text="unused")
    assert token.preview == token_preview("AbCd1234") == "ogp_AbCd1234_..."
