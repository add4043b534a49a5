import pytest

from ogp.settings import aliases
from ogp.settings.keys import all_keys, all_sections


@pytest.mark.parametrize("table", [aliases.RENAMED, aliases.ENVIRONMENT])
def test_every_alias_leads_to_a_key(table: dict[str, str]) -> None:
    assert {old: key for old, key in table.items() if key not in all_keys()} == {}


def test_every_alias_of_two_leads_to_keys_of_one_type() -> None:
    for first, second in aliases.ENVIRONMENT_OF_TWO.values():
        assert all_keys()[first].right == all_keys()[second].right


def test_no_dotted_name_has_two_meanings() -> None:
    tables: list[set[str]] = [
        set(all_keys()) | set(all_sections()),
        set(aliases.RENAMED),
        set(aliases.LATER),
        set(aliases.NO_EFFECT),
        set(aliases.ONE_VALUE),
        set(aliases.REFUSED),
    ]
    names = [name for table in tables for name in table]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_no_variable_has_two_meanings() -> None:
    tables: list[set[str]] = [
        set(aliases.ENVIRONMENT),
        set(aliases.ENVIRONMENT_OF_TWO),
        set(aliases.LATER_ENVIRONMENT),
        set(aliases.NO_EFFECT_ENVIRONMENT),
        set(aliases.REFUSED_ENVIRONMENT),
    ]
    names = [name for table in tables for name in table]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_moved_sections_lead_to_sections() -> None:
    moved = {new for old, new in aliases.MOVED_SECTIONS.items() if old != new}
    assert moved <= all_sections()


@pytest.mark.parametrize("table", [aliases.REFUSED, aliases.REFUSED_ENVIRONMENT])
def test_keys_named_in_refusals_exist(table: dict[str, str]) -> None:
    sections = tuple(f"{section}." for section in all_sections())
    words = {word.strip("(),;:") for reason in table.values() for word in reason.split()}
    assert {word for word in words if word.startswith(sections)} <= set(all_keys())
