"""What all dialects have in common: requests are parsed by the form of their route."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote

from ogp.core.errors import ForbiddenError, InvalidRequestError, TooLargeError
from ogp.core.types import InferenceRequest, TextPart, canonical_model
from ogp.dialects.base import NO_PARAMS, Operation
from ogp.dialects.fields import check_fields
from ogp.dialects.forms import Body, Caller, Form
from ogp.dialects.model_name import check_model_name, is_cloud_model, rename_name
from ogp.dialects.rewriting import replace_values
from ogp.dialects.strict import canonical_keys, parse_document, serialise
from ogp.dialects.text import TextShape, list_texts
from ogp.settings.schema import LimitSettings

Kinds = frozenset[str]
"""Content of a request that no scanner reads, e.g. `images`."""


class FormDialect(ABC):
    """Parses requests; how their fields, and how answers look is for its children.

    Stateless, hence safe in every thread.
    """

    name: ClassVar[str]
    stream_type: ClassVar[str]
    """Content type of streamed answers."""
    forms: ClassVar[tuple[Form, ...]]
    """Every route, refused ones included."""
    top_names: ClassVar[frozenset[str]]
    """Known keys at the top of a body."""
    messages: ClassVar[str]
    """The field whose items `limits.max_messages` counts."""

    def __init__(
        self, limits: LimitSettings, *, max_document_bytes: int = 64 * 1024 * 1024
    ) -> None:
        """Keep the limits.

        Args:
            limits: sizes of requests.
            max_document_bytes: largest answer that is held to be read as one document.
        """
        self._limits = limits
        self._max_document_bytes = max_document_bytes
        self._forms = {(form.operation, form.method): form for form in self.forms}
        self._operations = tuple(Operation(form, partial(self._parse, form)) for form in self.forms)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Every route; parsing a refused one raises `ForbiddenError`."""
        return self._operations

    def with_texts(
        self, request: InferenceRequest, replacements: Mapping[str, str]
    ) -> InferenceRequest:
        """The request with other texts, parsed anew; see `TextRewriter.with_texts`."""
        form = self._forms[request.operation, request.method]
        document = replace_values(parse_document(request.body), shape_of(form), replacements)
        parsed = self._parse(form, serialise(document))
        return replace(parsed, priority=request.priority, vault=request.vault)

    @abstractmethod
    def read_fields(self, form: Form, document: dict[str, Any]) -> Kinds:
        """Check what is below the top of a body, and give its keys their one spelling.

        Args:
            form: the route.
            document: its top is checked; changed in place.

        Returns:
            What no scanner can read in it.
        """

    def restricted_in(self, document: Mapping[str, Any], model: str) -> tuple[str, ...]:
        """What is present of the fields that hide the prompt from every scanner."""
        present = {
            "debug_render": document.get("_debug_render_only") is True,
            "cloud_model": is_cloud_model(model),
        }
        return tuple(name for name, is_present in present.items() if is_present)

    def check_count(self, count: int) -> None:
        """Refuse more messages than the operator allows."""
        if count > self._limits.max_messages:
            raise TooLargeError(
                f"{self.messages} holds {count} messages, more than {self._limits.max_messages} "
                "(limits.max_messages)",
                limit="max_messages",
                value=self._limits.max_messages,
            )

    def _parse(
        self, form: Form, body: bytes, params: Mapping[str, str] = NO_PARAMS
    ) -> InferenceRequest:
        if form.caller is Caller.NOBODY:
            raise ForbiddenError(form.why)
        if form.body is Body.NOTHING:
            return self._parse_nothing(form, body, params)
        document = canonical_keys(parse_document(body, names=self.top_names), self.top_names)
        if form.takes_name:
            rename_name(document)
        model = canonical_model(check_model_name("model", document.get("model")))
        check_fields(document, form.checks)
        kinds = self.read_fields(form, document)
        reaches_model = form.reaches_model
        return InferenceRequest(
            dialect=self.name,
            operation=form.operation,
            method=form.method,
            upstream_path=form.upstream_path,
            body=serialise(document),
            model=model,
            stream=form.is_stream(document),
            scanned=reaches_model,
            queued=form.queued,
            texts=self._texts(form, document) if reaches_model else (),
            unscanned=tuple(sorted(kinds)),
            restricted=self.restricted_in(document, model) if reaches_model else (),
        )

    def _parse_nothing(
        self, form: Form, body: bytes, params: Mapping[str, str]
    ) -> InferenceRequest:
        if body:
            raise InvalidRequestError(f"{form.method} {form.path} takes no body: send none")
        path, model = form.upstream_path, ""
        if "{model}" in path:
            name = check_model_name("model", params.get("model"))
            path, model = path.replace("{model}", quote(name, safe=":")), canonical_model(name)
        return InferenceRequest(
            dialect=self.name,
            operation=form.operation,
            method=form.method,
            upstream_path=path,
            model=model,
            scanned=False,
            queued=False,
        )

    def _texts(self, form: Form, document: dict[str, Any]) -> tuple[TextPart, ...]:
        limits = self._limits
        texts = list_texts(document, shape_of(form), max_chars=limits.max_prompt_chars)
        for part in texts:
            if len(part.text) > limits.max_message_chars and part.where.startswith(
                f"{self.messages}["
            ):
                raise TooLargeError(
                    f"{part.where} has {len(part.text)} characters, more than "
                    f"{limits.max_message_chars} (limits.max_message_chars)",
                    limit="max_message_chars",
                    value=limits.max_message_chars,
                )
        return texts


def shape_of(form: Form) -> TextShape:
    """Where the texts of a request stand that reaches a model."""
    if form.shape is None:
        raise AssertionError(f"{form.operation} reaches a model, so its texts have a shape")
    return form.shape
