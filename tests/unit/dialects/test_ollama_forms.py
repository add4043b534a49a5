import re

import pytest

from ogp.core.errors import InvalidRequestError
from ogp.dialects.form_dialect import shape_of
from ogp.dialects.forms import Form, Framing
from ogp.dialects.ollama_forms import GENERATING, LISTINGS, MESSAGE_CHECKS, SHOW, TOP_NAMES

POSTED = (*GENERATING, SHOW)


@pytest.mark.parametrize("form", POSTED, ids=lambda form: form.path)
def test_known_names_are_their_own_casefold(form: Form) -> None:
    names = TOP_NAMES | MESSAGE_CHECKS.keys()
    assert {name.casefold() for name in names} == names
    assert form.checks.keys() <= TOP_NAMES


@pytest.mark.parametrize("form", POSTED, ids=lambda form: form.path)
def test_pictures_are_unread_only_where_they_are_checked(form: Form) -> None:
    assert ("images" in shape_of(form).opaque) == ("images" in form.checks)
    assert ("messages[].images" in shape_of(form).opaque) == ("messages" in form.checks)


@pytest.mark.parametrize("form", POSTED, ids=lambda form: form.path)
def test_names_that_are_no_texts_hold_no_prose(form: Form) -> None:
    assert all(name.replace("$", "").isidentifier() for name in shape_of(form).names)


def test_what_reaches_a_model_is_all_but_show() -> None:
    assert [form.operation for form in POSTED if not form.reaches_model] == ["show"]


def test_upstream_paths_are_ollamas_own() -> None:
    assert {form.upstream_path for form in POSTED} == {
        f"/api/{name}" for name in ("generate", "chat", "embed", "embeddings", "show")
    }
    listed = {form.upstream_path for form in LISTINGS}
    assert listed == {f"/api/{name}" for name in ("version", "tags", "ps", "status")}


def test_what_streams_is_generate_and_chat() -> None:
    streamed = {form.operation for form in POSTED if form.framing is Framing.NDJSON}
    assert streamed == {"generate", "chat"}
    assert all(form.is_stream({}) is (form.operation in streamed) for form in POSTED)


@pytest.mark.parametrize(
    ("field", "value", "right"),
    [
        ("prompt", ["a"], "a string"),
        ("prompt", 1, "a string"),
        ("suffix", {}, "a string"),
        ("system", True, "a string"),
        ("template", 1, "a string"),
        ("context", "1", "a list of integers"),
        ("context", [1.5], "an integer"),
        ("context", [True], "an integer"),
        ("stream", "false", "true or false"),
        ("stream", 0, "true or false"),
        ("raw", 1, "true or false"),
        ("format", 1, '"json" or a schema object'),
        ("keep_alive", True, 'a number of seconds or a duration such as "5m"'),
        ("images", "aGk=", "a list of base64 strings"),
        ("images", [1], "a base64 string"),
        ("images", [None], "a base64 string"),
        ("options", [], "an object"),
        ("think", 1, 'true, false or a level such as "high"'),
        ("top_logprobs", 1.0, "an integer"),
        ("_debug_render_only", "yes", "true or false"),
        ("messages", {}, "a list of objects"),
        ("messages", ["hi"], "an object"),
        ("messages", [None], "an object"),
        ("tools", {}, "a list of objects"),
        ("tools", [1], "an object"),
        ("input", 1, "a string or a list of strings"),
        ("input", {"a": 1}, "a string or a list of strings"),
        ("input", ["a", 1], "a string"),
        ("input", [["a"]], "a string"),
        ("dimensions", "8", "an integer"),
        ("name", 1, "a string"),
        ("verbose", "yes", "true or false"),
    ],
)
def test_wrong_types_are_refused_with_what_is_right(field: str, value: object, right: str) -> None:
    check = next(form.checks[field] for form in POSTED if field in form.checks)
    with pytest.raises(InvalidRequestError) as caught:
        check(field, value)
    assert re.match(rf"{field}(\[\d\])? must be {right}, not ", caught.value.message)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("keep_alive", -1),
        ("keep_alive", 2.5),
        ("keep_alive", "5m"),
        ("format", ""),
        ("format", {}),
        ("input", ""),
        ("input", []),
        ("input", ["a", "b"]),
        ("think", "high"),
        ("think", False),
    ],
)
def test_every_form_ollama_takes_passes(field: str, value: object) -> None:
    for form in POSTED:
        if field in form.checks:
            form.checks[field](field, value)
