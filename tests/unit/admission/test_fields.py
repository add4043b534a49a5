import pytest

from ogp.admission.fields import FieldPolicy
from ogp.core.errors import ForbiddenError
from ogp.core.types import InferenceRequest, Principal, Role

USER = Principal("bo", Role.USER)


def make_request(*restricted: str) -> InferenceRequest:
    return InferenceRequest(
        dialect="ollama",
        operation="generate",
        method="POST",
        upstream_path="/api/generate",
        restricted=restricted,
    )


def test_ordinary_requests_pass() -> None:
    FieldPolicy(()).check(make_request(), USER)


def test_a_field_that_blinds_the_guard_is_refused_by_name() -> None:
    with pytest.raises(ForbiddenError, match="raw") as refused:
        FieldPolicy(("template",)).check(make_request("raw", "template"), USER)
    assert refused.value.facts == {"fields": ["raw"]}


def test_the_operator_may_allow_it() -> None:
    FieldPolicy(("raw",)).check(make_request("raw"), USER)


def test_administrators_may_send_anything() -> None:
    FieldPolicy(()).check(make_request("raw"), Principal("root", Role.ADMIN))
