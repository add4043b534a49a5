import pytest
from pydantic import ValidationError

from ogp.settings.routing_schema import ServerEntry
from ogp.settings.schema import Settings


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ({"host": "gpu1"}, "http://gpu1:11434"),
        ({"host": "fd00::1", "port": 1}, "http://[fd00::1]:1"),
        ({"url": "https://gpu1/"}, "https://gpu1"),
    ],
)
def test_where_a_server_is(entry: dict[str, object], address: str) -> None:
    assert ServerEntry.model_validate(entry).address == address


@pytest.mark.parametrize(
    "entry", [{}, {"host": "a", "url": "http://a"}, {"url": "http://a", "port": 1}, {"hots": "a"}]
)
def test_entries_that_say_too_much_or_too_little(entry: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ServerEntry.model_validate(entry)


@pytest.mark.parametrize(
    "routing",
    [{"strategy": "random"}, {"default_memory_gb": 0}, {"memory_overrides": {"a": float("inf")}}],
)
def test_rules_that_make_no_sense(routing: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"routing": routing})
