import pytest
from pydantic import ValidationError

from ogp.settings.section import Section, Words, parse_networks, split_list


class Sample(Section):
    words: Words = ()


def test_a_list_may_be_one_text_with_commas() -> None:
    assert Sample(words="a, b,,c ").words == ("a", "b", "c")
    assert Sample(words=["a", "b"]).words == ("a", "b")


def test_what_is_no_list_is_left_for_the_type_to_refuse() -> None:
    assert split_list(7) == 7
    assert parse_networks(7) == 7
    with pytest.raises(ValidationError):
        Sample(words=7)


def test_networks_may_have_host_bits() -> None:
    assert list(map(str, parse_networks("10.0.0.1/8, fd00::1"))) == ["10.0.0.0/8", "fd00::1/128"]


def test_sections_are_frozen_and_know_their_keys() -> None:
    with pytest.raises(ValidationError):
        Sample().words = ("a",)  # type: ignore[misc]
    with pytest.raises(ValidationError, match="wordz"):
        Sample.model_validate({"wordz": "a"})
