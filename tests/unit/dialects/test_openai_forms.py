import pytest

from ogp.dialects.forms import Body, Caller, Form, Framing, Streams
from ogp.dialects.openai_forms import FORMS, TOP_NAMES

BY_NAME = {form.operation: form for form in FORMS}


def test_every_route_is_declared_once() -> None:
    assert {(form.method, form.path) for form in FORMS} == {
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/embeddings"),
        ("GET", "/v1/models"),
        ("GET", "/v1/models/{model}"),
        ("POST", "/v1/audio/transcriptions"),
    }
    assert len(BY_NAME) == len(FORMS)


def test_what_goes_upstream_goes_to_the_same_path() -> None:
    assert all(form.path == form.upstream_path for form in FORMS)


def test_who_may_call_what() -> None:
    refused = [form.operation for form in FORMS if form.caller is Caller.NOBODY]
    assert refused == ["transcriptions"]
    assert BY_NAME["transcriptions"].why
    assert all(form.caller is Caller.USER for form in FORMS if form.operation not in refused)


@pytest.mark.parametrize("name", ["chat_completions", "completions"])
def test_answers_that_may_stream(name: str) -> None:
    form = BY_NAME[name]
    assert (form.framing, form.streams) == (Framing.SSE, Streams.IF_TRUE)


@pytest.mark.parametrize("form", [form for form in FORMS if form.body is Body.JSON])
def test_a_form_with_a_body_says_where_its_texts_stand(form: Form) -> None:
    assert form.reaches_model
    assert form.shape is not None
    assert form.answer is not None
    assert set(form.checks) < TOP_NAMES <= form.shape.names


def test_known_keys_are_in_their_casefolded_spelling() -> None:
    assert all(name == name.casefold() for name in TOP_NAMES)
