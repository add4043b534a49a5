"""The table of personal data: what is known, what is looked for, and that the documents say so."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ogp.guard.personal_data import (
    _LANGUAGE_WORDS,
    ENTITIES,
    NAME_ENTITIES,
    REGIONS,
    check_languages,
    chosen_entities,
    words_of,
)

DOCS = Path(__file__).resolve().parents[3] / "docs" / "guard.md"
SECTION = DOCS.read_text("utf-8").split("## Personal data")[1].split("\n## ")[0]
ROWS = {
    cells[0].strip("` "): cells[1].strip()
    for line in SECTION.splitlines()
    if line.startswith("| `") and len(cells := line.strip("| ").split("|")) == 3
}


def test_nothing_asked_for_means_the_defaults_without_organisations() -> None:
    chosen = chosen_entities(())
    assert {"EMAIL_ADDRESS", "IBAN_CODE", "PERSON", "LOCATION"} < set(chosen)
    assert {"URL", "DATE_TIME", "ORGANIZATION"}.isdisjoint(chosen)


def test_what_is_asked_for_is_all_that_is_looked_for() -> None:
    assert chosen_entities(("URL", "ORGANIZATION")) == ("URL", "ORGANIZATION")


def test_the_order_is_that_of_the_table() -> None:
    assert chosen_entities(("URL", "EMAIL_ADDRESS")) == chosen_entities(("EMAIL_ADDRESS", "URL"))


def test_an_unknown_entity_is_named_with_all_that_are_known() -> None:
    with pytest.raises(ValueError, match="entities: 'EMAIL' is not known; known are") as caught:
        chosen_entities(("EMAIL", "URL"))
    assert all(name in str(caught.value) for name in (*ENTITIES, *NAME_ENTITIES))


def test_an_unknown_language_is_named_with_all_that_are_known() -> None:
    with pytest.raises(ValueError, match="languages: 'xx' is not known; known are en, de, es"):
        check_languages(("en", "xx"))


def test_every_language_has_regions_and_words_for_numbers() -> None:
    check_languages(tuple(REGIONS))
    assert set(_LANGUAGE_WORDS) == set(REGIONS)
    for language in REGIONS:
        for name in ("PHONE_NUMBER", "CREDIT_CARD", "US_PASSPORT"):
            assert words_of(ENTITIES[name], (language,))


def test_words_are_those_of_the_entity_and_of_each_language_once() -> None:
    words = words_of(ENTITIES["PHONE_NUMBER"], ("en", "de"))
    assert {"phone", "handy", "tel"} < set(words)
    assert len(set(words)) == len(words)
    assert words_of(ENTITIES["PL_PESEL"], ("en",)) == ("pesel",)


def test_numbers_that_need_a_word_have_words() -> None:
    for entity in ENTITIES.values():
        assert not entity.needs_word or words_of(entity, ("en",))


def test_the_documents_list_every_entity_and_no_other() -> None:
    assert set(ROWS) == {*ENTITIES, *NAME_ENTITIES}


@pytest.mark.parametrize("name", [*ENTITIES, *NAME_ENTITIES])
def test_the_documents_say_whether_it_is_looked_for(name: str) -> None:
    assert (ROWS[name] == "yes") == (name in chosen_entities(()))


def test_the_documents_list_the_languages() -> None:
    listed = re.search(r"`languages` .*?: ([`a-z, ]+)\.", SECTION.replace("\n", " "))
    assert listed is not None
    assert re.findall(r"`(\w+)`", listed[1]) == list(REGIONS)


def test_the_table_is_read_without_any_package_that_finds() -> None:
    code = (
        "import sys, ogp.guard.anonymize; "
        "print([n for n in ('presidio_analyzer', 'phonenumbers', 'regex', 'torch') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
