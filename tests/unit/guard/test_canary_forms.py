"""Samples reach the guard, and come back from a server, in every dialect."""

import pytest

from ogp.core.types import TextKind
from ogp.dialects.anthropic import AnthropicDialect
from ogp.dialects.base import Dialect
from ogp.dialects.ollama import OllamaDialect
from ogp.dialects.openai import OpenAIDialect
from ogp.dialects.responses import ResponsesDialect
from ogp.guard.canary_forms import FORMS
from ogp.settings.schema import LimitSettings

LIMITS = LimitSettings()
DIALECTS: tuple[Dialect, ...] = (
    OllamaDialect(LIMITS),
    OpenAIDialect(LIMITS),
    ResponsesDialect(LIMITS),
    AnthropicDialect(LIMITS),
)
TEXT = 'He said "ä\u200b🙂" and\nleft.'


def test_every_form_is_of_a_dialect() -> None:
    assert set(FORMS) == {dialect.name for dialect in DIALECTS}


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_a_question_is_parsed_and_its_text_is_running_text(dialect: Dialect) -> None:
    form = FORMS[dialect.name]
    operation = next(each for each in dialect.operations if each.name == form.operation)
    request = operation.parse(form.question(TEXT))
    assert [part.text for part in request.texts if part.kind is TextKind.CONTENT] == [TEXT]
    assert request.scanned
    assert request.stream
    assert not request.restricted


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_an_answer_is_read_as_one_text(dialect: Dialect) -> None:
    form = FORMS[dialect.name]
    operation = next(each for each in dialect.operations if each.name == form.operation)
    request = operation.parse(form.question("hello"))
    answer = form.answer([TEXT[:5], TEXT[5:12], TEXT[12:]])
    events = list(dialect.events(request, iter([answer]), texts=True))
    assert b"".join(event.raw for event in events) == answer
    texts = [text for event in events for _, text in event.texts if text]
    assert "".join(texts) == TEXT
    assert len({name for event in events for name, text in event.texts if text}) == 1
