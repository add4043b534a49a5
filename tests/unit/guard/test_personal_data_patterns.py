"""Patterns and checksums, with presidio as it is installed."""

import logging
import random
import socket
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from ogp.guard.model import ModelUnavailableError
from ogp.guard.personal_data import ENTITIES
from ogp.guard.personal_data_patterns import PatternFinder, is_pesel

EVERYTHING = tuple(ENTITIES)
SAMPLES: dict[str, tuple[str, str, str]] = {
    "EMAIL_ADDRESS": ("mail ", "ann@example.com", "mail ann@example"),
    "PHONE_NUMBER": ("call ", "+49 30 901820", "call +49 30 9"),
    "CREDIT_CARD": ("pay by ", "4111 1111 1111 1111", "pay by 4111 1111 1111 1112"),
    "IBAN_CODE": ("to ", "DE89 3704 0044 0532 0130 00", "to DE88 3704 0044 0532 0130 00"),
    "IP_ADDRESS": ("from ", "203.0.113.9", "from 203.0.113.999"),
    "CRYPTO": (
        "to ",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
    ),
    "URL": ("see ", "https://example.com/a", "see example.com/a"),
    "DATE_TIME": ("on ", "2024-01-15", "on 2024-13-45"),
    "MEDICAL_LICENSE": ("DEA ", "BB1388568", "DEA BB1388569"),
    "US_SSN": ("is ", "536-90-4399", "is 536-00-4399"),
    "US_ITIN": ("is ", "912-70-1234", "is 912-10-1234"),
    "US_PASSPORT": ("passport number: ", "912345678", "order number: 912345678"),
    "US_DRIVER_LICENSE": ("driver's license ", "D1234567", "part D1234567"),
    "US_BANK_NUMBER": ("account ", "1234567890", "amount 1234567890"),
    "ABA_ROUTING_NUMBER": ("routing number ", "021000021", "routing number 021000022"),
    "UK_NHS": ("NHS number ", "943 476 5919", "NHS number 943 476 5918"),
    "UK_NINO": ("is ", "AB123456C", "is ab123456c"),
    "ES_NIF": ("es ", "12345678Z", "es 12345678A"),
    "ES_NIE": ("es ", "X1234567L", "es X1234567M"),
    "IT_FISCAL_CODE": ("di ", "RSSMRA85T10A562S", "di RSSMRA85T10A562T"),
    "IT_DRIVER_LICENSE": ("patente ", "AB1234567C", "codice AB1234567C"),
    "IT_IDENTITY_CARD": ("carta d'identità ", "CA12345AA", "modello CA12345AA"),
    "IT_PASSPORT": ("passaporto ", "AA1234567", "modello AA1234567"),
    "IT_VAT_CODE": ("partita IVA ", "12345670785", "partita IVA 12345670786"),
    "PL_PESEL": ("PESEL ", "44051401359", "PESEL 44051401358"),
    "FI_PERSONAL_IDENTITY_CODE": ("on ", "131052-308T", "on 131052-308U"),
    "SG_NRIC_FIN": ("NRIC ", "S1234567D", "part S1234567D"),
    "SG_UEN": ("UEN ", "53125226D", "UEN 53125226E"),
    "AU_ABN": ("ABN ", "51 824 753 556", "ABN 51 824 753 557"),
    "AU_ACN": ("ACN ", "004 085 616", "ACN 004 085 617"),
    "AU_TFN": ("TFN ", "123 456 782", "TFN 123 456 783"),
    "AU_MEDICARE": ("medicare ", "2123 45670 1", "medicare 2123 45671 1"),
    "IN_PAN": ("PAN ", "ABCPE1234F", "part ABCPE1234F"),
    "IN_AADHAAR": ("Aadhaar ", "2345 6789 0124", "Aadhaar 2345 6789 0125"),
    "IN_PASSPORT": ("passport ", "A1234567", "part A1234567"),
    "IN_VOTER": ("voter card ", "ABC1234567", "part ABC1234567"),
    "IN_VEHICLE_REGISTRATION": ("vehicle ", "MH12AB1234", "part MH12AB1234"),
}


@pytest.fixture(scope="module")
def everything() -> PatternFinder:
    return PatternFinder(EVERYTHING, ("en", "de"), 0.4)


def finder(*entities: str, languages: Sequence[str] = ("en",)) -> PatternFinder:
    return PatternFinder(entities, languages, 0.4)


def found(patterns: PatternFinder, text: str) -> list[tuple[str, str]]:
    return [(each.label, text[each.start : each.end]) for each in patterns.find(text, 0, len(text))]


def test_every_entity_has_a_sample() -> None:
    assert set(SAMPLES) == set(ENTITIES)


@pytest.mark.parametrize("name", EVERYTHING)
def test_each_entity_is_found_and_a_near_miss_is_not(everything: PatternFinder, name: str) -> None:
    before, piece, near_miss = SAMPLES[name]
    text = f"It is {before}{piece}, he said."
    assert (name, piece) in found(everything, text)
    missed = f"It is {near_miss}, he said."
    assert name not in {label for label, _ in found(everything, missed)}


@pytest.mark.parametrize("name", EVERYTHING)
def test_nothing_is_found_inside_a_longer_word(everything: PatternFinder, name: str) -> None:
    before, piece, _ = SAMPLES[name]
    text = f"It is {before}X7{piece}8Q, he said."
    assert (name, piece) not in found(everything, text)


@pytest.mark.parametrize(
    "text",
    [
        "Python 3.11.7 and llm-guard 0.3.16 came on 2024-01-15 at 10:33:12.123456.",
        "2026-10-05T12:00:00Z INFO worker=12 took 0.0123 s, 1700000000000 ms, code 404",
        "commit 2a21216f0c3a4b5d6e7f80911223344556677889, sha256 9f62d38203f8a62e926adc",
        "x[1::2], a[10:20], std::vector<int>, 0xDEADBEEF, 1e10, 10.1000/182, 3.14159265",
        "for i in range(1000000000): total += 2147483647 * 4294967296 // 1234567890123",
        "ISBN 978-3-16-148410-0, pages 123-456, 1 000 000 EUR, order 4711-0815",
        "550e8400-e29b-41d4-a716-446655440000",
    ],
)
def test_prose_code_and_logs_have_nothing(text: str) -> None:
    names = [name for name, entity in ENTITIES.items() if entity.is_default]
    assert found(finder(*names), text) == []


def test_a_word_in_a_language_counts_where_that_language_is_chosen() -> None:
    text = "Reisepass: 912345678"
    assert found(finder("US_PASSPORT"), text) == []
    assert found(finder("US_PASSPORT", languages=("de",)), text) == [("US_PASSPORT", "912345678")]


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("passportNumber=912345678", True),
        ("user_passport: 912345678", True),
        ("Passport No. 912345678", True),
        ("passport" + " " * 60 + "912345678", False),
        ("the cellar has 9018201234", True),
        ("intel 9018201234", False),
    ],
)
def test_what_counts_as_a_word_before_a_number(text: str, is_told: bool) -> None:
    assert bool(found(finder("US_PASSPORT", "PHONE_NUMBER"), text)) is is_told


def test_digits_of_a_short_card_need_a_word() -> None:
    cards = finder("CREDIT_CARD")
    assert found(cards, "id 1700000000009") == found(cards, "ms 4222222222222") == []
    assert found(cards, "card 4222222222222") == [("CREDIT_CARD", "4222222222222")]


def test_words_behind_an_iban_are_not_part_of_it(everything: PatternFinder) -> None:
    text = "pay DE89370400440532013000 2 days from today"
    assert ("IBAN_CODE", "DE89370400440532013000") in found(everything, text)


def test_blanks_beside_a_number_are_not_part_of_it(everything: PatternFinder) -> None:
    assert found(finder("IT_VAT_CODE"), "piva 12345670785 e") == [("IT_VAT_CODE", "12345670785")]
    assert ("UK_NINO", "AB123456C") in found(everything, "is  AB123456C ")


def test_decimals_are_no_identity_numbers(everything: PatternFinder) -> None:
    assert found(everything, "1.12345678Z") == []


def test_a_threshold_above_a_score_hides_it() -> None:
    text = "AB123456C"
    assert PatternFinder(["UK_NINO"], ["en"], 0.6).find(text, 0, 9) == []
    assert len(PatternFinder(["UK_NINO"], ["en"], 0.5).find(text, 0, 9)) == 1


@pytest.mark.parametrize("cut", [10, 14, 18])
def test_what_the_end_of_a_part_cuts_is_left_to_the_next_one(cut: int) -> None:
    text = "Call from 203.0.113.9 at once"
    everything = finder("IP_ADDRESS", "US_SSN")
    whole = [each for part in ((0, cut), (4, len(text))) for each in everything.find(text, *part)]
    assert [text[each.start : each.end] for each in whole] == ["203.0.113.9"]


def test_a_number_that_goes_on_behind_a_part_is_left_to_the_next_one() -> None:
    text = "call +49 30 901820-55 now"
    assert finder("PHONE_NUMBER").find(text, 0, 18) == []
    assert found(finder("PHONE_NUMBER"), text) == [("PHONE_NUMBER", "+49 30 901820-55")]


def test_the_text_before_a_part_is_seen(everything: PatternFinder) -> None:
    text = "passport 912345678"
    assert [each.label for each in everything.find(text, 9, 18)] == ["US_PASSPORT"]
    assert everything.find("x12345678Z", 1, 10) == []


@pytest.mark.parametrize(
    "piece", ["٤١١١ ١١١١ ١١١١ ١١١١", "RſSMRA85T10A562S", "12345678ſ", "४४०५१४०१३५९", "5312522६D"]
)
def test_odd_digits_and_letters_do_no_harm(everything: PatternFinder, piece: str) -> None:
    text = f"pesel card nif {piece} and ann@example.com"
    assert ("EMAIL_ADDRESS", "ann@example.com") in found(everything, text)


def test_the_checksum_of_a_pesel_is_the_official_one() -> None:
    assert is_pesel("44051401359")
    assert not is_pesel("44051401351")


HOSTILE = {
    **{repr(unit): unit for unit in ("1", "a", "@", ".", "-", "a.", "a@", "a-", "1.", ":", "1:")},
    **{unit: unit for unit in ("123-", "a.a@b.c ", "AB12 ", "+1", "(0", "0 ", "http://", "www.")},
    **{unit: unit for unit in ("phone ", "ab:", "!", "_", "A1", "4111 ", "x@b.", "AAAAAA11A")},
    "iban": "DE89 3704 0044 0532 0130 00 ",
    "passports": "passport 912345678 ",
}


def seconds(patterns: PatternFinder, text: str) -> float:
    began = time.perf_counter()
    patterns.find(text, 0, len(text))
    return time.perf_counter() - began


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_time_grows_in_proportion_to_a_hostile_text(everything: PatternFinder, name: str) -> None:
    unit = HOSTILE[name]
    short, long = ((unit * size)[:size] for size in (2_500, 10_000))
    least = min(seconds(everything, short) for _ in range(3))
    most = min(seconds(everything, long) for _ in range(3))
    assert most < 10 * least + 0.02


def test_thousands_of_searches_in_eight_threads_find_the_right_things(
    everything: PatternFinder,
) -> None:
    names = [name for name in EVERYTHING if name not in ("URL", "DATE_TIME")]
    expected = {name: sorted(found(everything, sample_text(name))) for name in names}
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)

    def is_right(seed: int) -> bool:
        name = names[random.Random(seed).randrange(len(names))]
        return sorted(found(everything, sample_text(name))) == expected[name]

    try:
        with ThreadPoolExecutor(8) as callers:
            assert all(callers.map(is_right, range(2_000)))
    finally:
        sys.setswitchinterval(before)


def sample_text(name: str) -> str:
    before, piece, near_miss = SAMPLES[name]
    return f"First {near_miss}. Then {before}{piece} and the rest of it."


def test_no_network_is_asked(everything: PatternFinder, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    patterns = finder(*EVERYTHING)
    for name in EVERYTHING:
        patterns.find(sample_text(name), 0, len(sample_text(name)))


def test_nothing_is_logged(everything: PatternFinder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in EVERYTHING:
        found(everything, sample_text(name))
    logging.getLogger("presidio-analyzer").error("Failed to validate text %s", "secret")
    assert caplog.records == []


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    monkeypatch.delitem(sys.modules, "presidio_analyzer.predefined_recognizers", raising=False)
    with pytest.raises(ModelUnavailableError, match=r"package presidio_analyzer.* is missing: pip"):
        finder("CREDIT_CARD")


def test_a_recogniser_that_is_not_there_any_more_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import presidio_analyzer.predefined_recognizers as recognisers

    monkeypatch.delattr(recognisers, "NhsRecognizer")
    with pytest.raises(ModelUnavailableError, match="presidio-analyzer has no NhsRecognizer"):
        finder("UK_NHS")


def replace_nhs(monkeypatch: pytest.MonkeyPatch, build: Any) -> None:
    import presidio_analyzer.predefined_recognizers as recognisers

    monkeypatch.setattr(recognisers, "NhsRecognizer", build)


def test_a_recogniser_that_finds_something_else_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_nhs(monkeypatch, lambda: SimpleNamespace(supported_entities=["OTHER"], patterns=[]))
    with pytest.raises(ModelUnavailableError, match=r"NhsRecognizer .* is another one"):
        finder("UK_NHS")


def test_a_recogniser_that_cannot_be_made_is_no_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_nhs(monkeypatch, lambda: SimpleNamespace())
    with pytest.raises(ModelUnavailableError, match="presidio-analyzer: AttributeError"):
        finder("UK_NHS")


def test_a_checksum_that_raises_means_no_hit(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> bool:
        raise KeyError("text")

    pattern = SimpleNamespace(name="p", regex=r"\d{3}", score=0.9)
    recogniser = SimpleNamespace(
        supported_entities=["UK_NHS"],
        patterns=[pattern],
        validate_result=refuse,
        invalidate_result=lambda _: False,
    )
    replace_nhs(monkeypatch, lambda: recogniser)
    assert found(finder("UK_NHS"), "nhs 123") == []
