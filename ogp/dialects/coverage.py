"""The one table of every route: who may call it, where its texts stand, whether it waits."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ogp.dialects.anthropic import AnthropicDialect
from ogp.dialects.forms import Body, Caller, Form, Streams
from ogp.dialects.ollama import OllamaDialect
from ogp.dialects.openai import OpenAIDialect
from ogp.dialects.responses import ResponsesDialect

DIALECTS = (OllamaDialect, OpenAIDialect, ResponsesDialect, AnthropicDialect)
"""Every client language. The first one's errors are used where no path tells which."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """One route, in words."""

    method: str
    path: str
    dialect: str
    caller: str
    """`user`, `manager` or `nobody`; see `Caller`."""
    takes: str
    """`nothing`, `json` or `bytes`."""
    text_in: tuple[str, ...]
    """Where running text of the prompt stands. Every other string is scanned as well."""
    text_out: tuple[str, ...]
    """Where the model's text stands. Every other string is read as well, but for a few words."""
    answer: str
    """How it comes where it is streamed: `document`, `ndjson` or `sse`."""
    streams: str
    """`never`, `if true` or `unless false`: what `stream` in the body decides."""
    queued: bool
    """It waits for a slot of its model."""
    why: str
    """Of refused routes: the reason."""

    def as_dict(self) -> Mapping[str, Any]:
        """The same for programs."""
        return asdict(self)


def coverage() -> Iterator[Coverage]:
    """Every route, dialect by dialect."""
    for dialect in DIALECTS:
        for form in dialect.forms:
            yield _covered(dialect.name, form)


def _covered(dialect: str, form: Form) -> Coverage:
    is_open = form.caller is not Caller.NOBODY
    scanned = form.reaches_model and is_open
    return Coverage(
        method=form.method,
        path=form.path,
        dialect=dialect,
        caller=form.caller,
        takes=form.body if is_open else Body.NOTHING,
        text_in=_text_in(form) if scanned else (),
        text_out=_text_out(form) if scanned else (),
        answer=form.framing,
        streams=form.streams if is_open else Streams.NEVER,
        queued=form.queued,
        why=form.why,
    )


def _text_in(form: Form) -> tuple[str, ...]:
    """Of the places that the dialect knows, those of this route's own fields."""
    places = form.shape.content if form.shape else ()
    mine = (place for place in places if place.partition(".")[0].partition("[")[0] in form.checks)
    return tuple(sorted(mine))


def _text_out(form: Form) -> tuple[str, ...]:
    """What is never streamed answers with numbers."""
    if form.answer is None or form.streams is Streams.NEVER:
        return ()
    return tuple(sorted(form.answer.streamed))
