"""Answers that depend on nothing but the prompt."""

import math
from typing import Any

import pytest

from ogp.demo import prose


@pytest.mark.parametrize("text", ["", "a", " a  b\n c ", "one two", "\n"])
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(prose.tokens_of(text)) == text


def test_answer_quotes_the_prompt() -> None:
    assert prose.answer_text("why is it blue").startswith("You said: why is it blue ")


def test_answer_quotes_no_more_than_the_first_words() -> None:
    answer = prose.answer_text(" ".join(f"w{number}" for number in range(100)))
    assert "w59 ..." in answer
    assert "w60" not in answer


@pytest.mark.parametrize(("images", "said"), [(1, "1 image."), (2, "2 images.")])
def test_answer_tells_how_many_images_it_saw(images: int, said: str) -> None:
    assert said in prose.answer_text("x", images=images)


@pytest.mark.parametrize(("text", "count"), [("", 1), ("a b  c", 3)])
def test_words_count_as_tokens(text: str, count: int) -> None:
    assert prose.count_tokens(text) == count


def test_list_of_tokens_is_repeated_or_cut() -> None:
    assert prose.exactly(["a", "b"], 5) == ["a", "b", "a", "b", "a"]
    assert prose.exactly(["a", "b"], 1) == ["a"]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (None, "t"),
        ({"type": "string"}, "t"),
        ({"enum": ["x", "y"]}, "x"),
        ({"const": None}, None),
        ({"type": "integer"}, 42),
        ({"type": "number"}, 0.5),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "string"]}, None),
        ({"type": []}, "t"),
        ({"type": "array", "items": {"type": "integer"}}, [42]),
        ({"type": "array"}, ["t"]),
        ({"anyOf": [{"type": "integer"}]}, 42),
        ({"properties": {"a": {"type": "object", "properties": {"b": {}}}}}, {"a": {"b": "t"}}),
        ({"type": "object"}, {}),
    ],
)
def test_example_fits_its_schema(schema: Any, value: Any) -> None:
    assert prose.example(schema, "t") == value


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


def test_tool_is_chosen_by_a_word_of_its_name() -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [tool("add_numbers"), tool("get_weather", parameters=parameters)]
    call = prose.chosen_tool(tools, "How is the Weather there?")
    assert call == {"name": "get_weather", "arguments": {"city": "demo"}}


def test_word_tool_asks_for_the_first_one() -> None:
    call = prose.chosen_tool([tool("xyz"), tool("abc")], "use a tool")
    assert call == {"name": "xyz", "arguments": {}}


@pytest.mark.parametrize("tools", [[], [tool("get_weather")], ["nonsense"], [{"function": 5}]])
def test_no_tool_is_chosen_for_an_unrelated_prompt(tools: list[Any]) -> None:
    assert prose.chosen_tool(tools, "tell me a joke") is None


def test_arguments_are_an_object_whatever_the_schema_says() -> None:
    call = prose.chosen_tool([tool("x", parameters={"type": "string"})], "tool")
    assert call == {"name": "x", "arguments": {}}


@pytest.mark.parametrize("dimensions", [None, 1, 8, 100])
def test_vector_has_length_one_and_the_size_asked_for(dimensions: int | None) -> None:
    vector = prose.vector("x", dimensions)
    assert len(vector) == (dimensions or prose.DIMENSIONS)
    assert math.isclose(math.hypot(*vector), 1.0, rel_tol=1e-5)


def test_vectors_are_equal_for_equal_texts_only() -> None:
    assert prose.vector("a") == prose.vector("a") != prose.vector("b")
