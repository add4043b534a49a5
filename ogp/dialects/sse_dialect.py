"""What the dialects with server-sent events have in common."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from ogp.core.types import AnswerEvent, InferenceRequest
from ogp.dialects.form_dialect import FormDialect
from ogp.dialects.ndjson import join_document, pass_document
from ogp.dialects.sse import cut_events, pass_events
from ogp.dialects.sse_answers import AnswerForm, AnswerReader, find_in, with_texts


class SseDialect(FormDialect):
    """Parses requests and cuts answers; how fields, counts and errors look is for its children.

    Stateless, hence safe in every thread.
    """

    stream_type = "text/event-stream"
    answer_form: ClassVar[AnswerForm]
    """How answers are read."""

    def events(
        self, request: InferenceRequest, chunks: Iterator[bytes], *, texts: bool
    ) -> Iterator[AnswerEvent]:
        """Cut an answer into events; see `Dialect.events`."""
        if not texts:
            find = find_in(self.answer_form.counts)
            if request.stream:
                return pass_events(chunks, find)
            return pass_document(chunks, find, b"_tokens")
        streamed = request.stream
        pieces = cut_events(chunks) if streamed else join_document(chunks, self._max_document_bytes)
        return AnswerReader(self.answer_form).read(pieces, streamed=streamed)

    def with_answer_texts(
        self, event: AnswerEvent, texts: Sequence[tuple[str, str]]
    ) -> AnswerEvent:
        """The event with other texts; see `TextRewriter.with_answer_texts`."""
        return with_texts(event, texts, self.answer_form)

    def keepalive(self, request: InferenceRequest) -> bytes:  # noqa: ARG002 - part of the protocol
        """A comment, which every client of server-sent events passes over."""
        return b": waiting\n\n"
