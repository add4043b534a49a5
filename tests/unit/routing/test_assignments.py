import pytest

from ogp.routing.assignments import Assignments

RULES = {"qwen*": "big", "Qwen:latest": "small", "*7b": "tiny", "q*": "never"}


@pytest.mark.parametrize(
    ("model", "server"),
    [("qwen", "small"), ("qwen:7b", "big"), ("llama-7b", "tiny"), ("llama", None)],
)
def test_exact_names_come_before_patterns_in_their_order(model: str, server: str | None) -> None:
    assert Assignments(RULES).server_for(model) == server
