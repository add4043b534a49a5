import pytest

from ogp.admission.fields import FieldPolicy
from ogp.core.errors import ForbiddenError
from ogp.core.types import InferenceRequest, Principal, Role

USER = Principal("bo", Role.USER)


def make_request(
    *restricted: str, managed: bool = False, unscanned: tuple[str, ...] = ()
) -> InferenceRequest:
    return InferenceRequest(
        dialect="ollama",
        operation="generate",
        method="POST",
        upstream_path="/api/generate",
        restricted=restricted,
        managed=managed,
        unscanned=unscanned,
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


def test_models_are_managed_by_administrators_and_those_named() -> None:
    request = make_request(managed=True)
    with pytest.raises(ForbiddenError, match=r"access\.allow_model_management"):
        FieldPolicy((), ("al",)).check(request, USER)
    FieldPolicy((), ("al", "bo")).check(request, USER)
    FieldPolicy(()).check(request, Principal("root", Role.ADMIN))


def test_who_manages_models_still_may_not_blind_the_guard() -> None:
    with pytest.raises(ForbiddenError, match="cloud_model"):
        FieldPolicy((), ("bo",)).check(make_request("cloud_model", managed=True), USER)


@pytest.mark.parametrize("kind", ["audio", "documents"])
def test_words_that_no_scanner_reads_are_refused_unless_allowed(kind: str) -> None:
    request = make_request("raw", unscanned=("images", kind))
    with pytest.raises(ForbiddenError, match=f"raw, {kind} cannot be scanned") as refused:
        FieldPolicy(()).check(request, USER)
    assert refused.value.facts == {"fields": ["raw", kind]}
    FieldPolicy((kind, "raw")).check(request, USER)
    FieldPolicy(()).check(request, Principal("root", Role.ADMIN))


def test_pictures_pass() -> None:
    FieldPolicy(()).check(make_request(unscanned=("images",)), USER)


def test_what_is_restricted_and_unread_is_named_once() -> None:
    with pytest.raises(ForbiddenError) as refused:
        FieldPolicy(()).check(make_request("audio", unscanned=("audio",)), USER)
    assert refused.value.facts == {"fields": ["audio"]}
