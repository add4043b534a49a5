"""Fields of Ollama's types that have a reader of their own."""

import pytest

from ogp.demo import shapes
from ogp.demo.gojson import GoJSONError


@pytest.mark.parametrize("value", ["5", "-1", "0", '"5m"', '"1h30m"', '"-1ns"', '"0"', '"1.5s"'])
def test_keep_alive_is_seconds_or_a_duration(value: str) -> None:
    body = f'{{"model":"m","keep_alive":{value}}}'.encode()
    assert shapes.GENERATE.read(body)["keep_alive"] is not None


@pytest.mark.parametrize("value", ['"5"', '"soon"', '""', "true", "[]", "{}"])
def test_keep_alive_is_nothing_else(value: str) -> None:
    with pytest.raises(GoJSONError):
        shapes.GENERATE.read(f'{{"keep_alive":{value}}}'.encode())


def test_keep_alive_null_is_none() -> None:
    assert shapes.GENERATE.read(b'{"keep_alive":null}') == {}


@pytest.mark.parametrize("value", ["true", "false", '"high"', '"low"'])
def test_think_is_a_boolean_or_a_level(value: str) -> None:
    assert "think" in shapes.CHAT.read(f'{{"think":{value}}}'.encode())


@pytest.mark.parametrize("value", ['"x"', "1", "{}"])
def test_think_is_nothing_else(value: str) -> None:
    with pytest.raises(GoJSONError, match="invalid think value"):
        shapes.CHAT.read(f'{{"think":{value}}}'.encode())


def test_null_think_is_none() -> None:
    assert shapes.CHAT.read(b'{"think":null}') == {}


def test_second_list_of_native_messages_replaces_the_first() -> None:
    body = (
        b'{"messages":[{"role":"user","content":"a"}],'
        b'"me\xc5\xbf\xc5\xbfages":[{"content":"b"}]}'  # two U+017F
    )
    assert shapes.CHAT.read(body) == {"messages": [{"content": "b"}]}


def test_second_list_of_openai_messages_is_laid_over_the_first() -> None:
    body = b'{"messages":[{"role":"user","content":"a"}],"MESSAGES":[{"content":"b"}]}'
    assert shapes.OPENAI_CHAT.read(body) == {"messages": [{"role": "user", "content": "b"}]}
