"""Placeholders and the words behind them."""

import time

import pytest

from ogp.guard.vault import Placeholders, Vault


def test_words_are_numbered_by_kind_in_the_order_they_are_met() -> None:
    vault = Vault(())
    given = [
        vault.placeholder("a@b.c", "EMAIL_ADDRESS"),
        vault.placeholder("555", "PHONE_NUMBER"),
        vault.placeholder("d@e.f", "EMAIL_ADDRESS"),
    ]
    assert given == ["[EMAIL_ADDRESS_1]", "[PHONE_NUMBER_1]", "[EMAIL_ADDRESS_2]"]


def test_the_same_word_has_the_same_placeholder() -> None:
    vault = Vault(())
    assert vault.placeholder("a@b.c", "EMAIL_ADDRESS") == vault.placeholder("a@b.c", "URL")
    assert vault.words() == {"[EMAIL_ADDRESS_1]": "a@b.c"}


def test_another_case_is_another_word() -> None:
    vault = Vault(())
    assert vault.placeholder("Bob", "PERSON") != vault.placeholder("bob", "PERSON")


@pytest.mark.parametrize("written", ["[PERSON_1]", "x[person_1]y", "[[Person_1]]"])
def test_what_the_client_wrote_is_nobody_elses_placeholder(written: str) -> None:
    assert Vault(("nothing", written)).placeholder("Bob", "PERSON") == "[PERSON_2]"


@pytest.mark.parametrize("label", ["credit card", "Credit-Card", "CREDIT_CARD"])
def test_labels_are_spelled_as_placeholders_need_it(label: str) -> None:
    assert Vault(()).placeholder("4111", label) == "[CREDIT_CARD_1]"


WORDS = Placeholders({"[PERSON_1]": "Bob", "[PERSON_12]": "Eve"})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[PERSON_1] and [Person_12]", [(0, 10, "Bob"), (15, 26, "Eve")]),
        ("[[person_1]]", [(1, 11, "Bob")]),
        ("[PERSON_2] PERSON_1 [ PERSON_1 ]", []),
        ("[PERſON_1]", []),
    ],
)
def test_known_ones_are_found_in_any_case(text: str, found: list[object]) -> None:
    assert list(WORDS.find(text)) == found


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("hello [", 6),
        ("hello [per", 6),
        ("[PERSON_1", 0),
        ("hello", 5),
        ("[PERSON_1]", 10),
        ("[PERSON_12", 0),
        ("[x", 2),
        ("[PERSON_3", 9),
        ("[" + "x" * 50, 51),
        ("[ß", 2),
    ],
)
def test_only_what_could_become_one_is_waited_for(text: str, place: int) -> None:
    assert WORDS.cut_off(text) == place


def test_an_empty_vault_waits_for_nothing() -> None:
    assert Placeholders({}).cut_off("a [") == 3


@pytest.mark.parametrize("seed", ["[", "[PERSON_", "[PERSON_1]", "x"])
def test_time_is_linear(seed: str) -> None:
    def cost_s(chars: int) -> float:
        text = seed * (chars // len(seed))
        times = []
        for _ in range(3):
            started = time.thread_time()
            list(WORDS.find(text))
            times.append(time.thread_time() - started)
        return min(times)

    assert cost_s(100_000) < 12 * cost_s(25_000) + 0.01
