"""Making up an answer."""

import json

from ogp.demo.completion import Ask, compose

TOOL = {"type": "function", "function": {"name": "weather"}}


def test_answer_quotes_the_prompt_and_counts_all_text() -> None:
    completion = compose(Ask("m", "why blue", all_text="be kind why blue"))
    assert "why blue" in completion.text
    assert (completion.prompt_tokens, completion.done_reason) == (4, "stop")
    assert (completion.thinking, completion.tool_calls, completion.logprobs) == ("", [], [])


def test_answer_has_exactly_the_tokens_its_model_makes() -> None:
    assert len(compose(Ask("m", "x"), tokens=7).pieces) == 7


def test_thinking_comes_first() -> None:
    completion = compose(Ask("m", "x", think=True))
    assert completion.thinking == "The user wrote 1 words. I shall quote them."
    assert completion.pieces[0].thinking
    assert completion.pieces[-1].text


def test_tool_that_is_asked_for_is_called_instead_of_text() -> None:
    completion = compose(Ask("m", "the weather?", tools=[TOOL]))
    assert completion.tool_calls == [{"name": "weather", "arguments": {}}]
    assert completion.text == ""


def test_model_of_a_fixed_length_calls_no_tool() -> None:
    assert compose(Ask("m", "weather", tools=[TOOL]), tokens=3).tool_calls == []


def test_limit_cuts_the_answer_and_is_the_reason() -> None:
    completion = compose(Ask("m", "x", max_tokens=2))
    assert (completion.text, completion.done_reason) == ("You said:", "length")


def test_limit_above_the_length_changes_nothing() -> None:
    assert compose(Ask("m", "x", max_tokens=10_000)).done_reason == "stop"


def test_first_stop_in_the_text_ends_it() -> None:
    completion = compose(Ask("m", "x", stops=["network", "said", "", "never there"]))
    assert (completion.text, completion.done_reason) == ("You ", "stop")


def test_json_is_an_object_with_the_answer() -> None:
    text = compose(Ask("m", "x", schema="json")).text
    assert json.loads(text)["answer"].startswith("You said: x")


def test_schema_shapes_the_answer() -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}}
    assert json.loads(compose(Ask("m", "x", schema=schema)).text) == {"age": 42}


def test_log_probabilities_come_with_each_token() -> None:
    completion = compose(Ask("m", "x", max_tokens=1, top_logprobs=0))
    assert completion.logprobs == [{"token": "You", "logprob": -0.1, "bytes": [89, 111, 117]}]


def test_top_log_probabilities_are_as_many_as_asked() -> None:
    completion = compose(Ask("m", "x", max_tokens=1, top_logprobs=3))
    (entry,) = completion.logprobs
    assert [other["token"] for other in entry["top_logprobs"]] == ["You", " alt1", " alt2"]
