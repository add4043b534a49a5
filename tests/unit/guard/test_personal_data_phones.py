"""Telephone numbers."""

import pytest

from ogp.guard.personal_data_phones import INTERNATIONAL, NATIONAL, PhoneFinder


@pytest.fixture(scope="module")
def phones() -> PhoneFinder:
    return PhoneFinder(("US", "GB", "DE"))


@pytest.mark.parametrize(
    ("text", "number", "score"),
    [
        ("Call +49 30 901820.", "+49 30 901820", INTERNATIONAL),
        ("0049 30 901820,", "0049 30 901820", INTERNATIONAL),
        ("tel:+442079460018", "+442079460018", INTERNATIONAL),
        ("+48 22 694 10 00", "+48 22 694 10 00", INTERNATIONAL),
        ("(212) 555-2368", "(212) 555-2368", NATIONAL),
        ("212-555-2368 x1", "212-555-2368", NATIONAL),
        ("phone=212.555.2368", "212.555.2368", NATIONAL),
        ("1-212-555-2368", "1-212-555-2368", NATIONAL),
        ("030/901820", "030/901820", NATIONAL),
        ("020 7946 0018", "020 7946 0018", NATIONAL),
    ],
)
def test_numbers_as_people_write_them(
    phones: PhoneFinder, text: str, number: str, score: float
) -> None:
    (only,) = phones(text, 0, len(text))
    assert (text[only.start : only.end], only.score) == (number, score)


@pytest.mark.parametrize("text", ["2147483647", "2125552368", "252.227-7013"])
def test_digits_alone_count_for_little(phones: PhoneFinder, text: str) -> None:
    assert all(each.score < 0.4 for each in phones(text, 0, len(text)))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "2024-01-15 10:00",
            "15.01.2024 10",
            "978-3-16-148410-0",
            "+35236450.6",
            "+ 45.92828268",
            "3.14159265",
        ),
        *(
            "+1 000 000 0000",
            "+999 123 4567",
            "12345",
            "1.2.3.4.5.6.7.8",
            "a1234567",
            "192.168.10.10",
        ),
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14",
    ],
)
def test_other_numbers(phones: PhoneFinder, text: str) -> None:
    assert list(phones(text, 0, len(text))) == []


def test_a_number_without_country_code_is_known_in_its_region_only() -> None:
    text = "030/901820"
    assert list(PhoneFinder(("US",))(text, 0, len(text))) == []


def test_a_number_that_comes_often_is_judged_once_and_told_each_time(phones: PhoneFinder) -> None:
    text = "+49 30 901820; " * 3
    assert [each.start for each in phones(text, 0, len(text))] == [0, 15, 30]
