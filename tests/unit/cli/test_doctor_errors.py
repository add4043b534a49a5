from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from ogp.cli.doctor_errors import BAD_PROMPT, FORMS, NO_SUCH_MODEL, errors, guard, prompt_limit
from ogp.cli.doctor_site import BROKEN_JSON, Result
from tests.support.little_server import Asked, always, answer, site_of

NATIVE = {"error": "bad", "code": "invalid_request"}
OPENAI = {"error": {"message": "bad", "type": "x", "param": None, "code": None}}
ANTHROPIC = {"type": "error", "error": {"type": "x", "message": "bad"}}
RIGHT: Mapping[str, Mapping[str, Any]] = {
    "ollama": NATIVE,
    "openai": OPENAI,
    "responses": OPENAI,
    "anthropic": ANTHROPIC,
}


def refusing(asked: Asked, *, document: object, status: int | None = None) -> bytes:
    right = 404 if NO_SUCH_MODEL.encode() in asked.body else 400
    return answer(status or right, document)


@pytest.mark.parametrize("dialect", FORMS)
def test_errors_in_the_words_of_the_dialect_are_right(dialect: str) -> None:
    seen: list[Asked] = []

    def say(asked: Asked) -> bytes:
        seen.append(asked)
        return refusing(asked, document=RIGHT[dialect])

    with site_of(say) as site:
        assert errors(dialect, site).result is Result.OK
    assert {each.path for each in seen} == {FORMS[dialect].path}
    assert [BROKEN_JSON in seen[0].body, "model" in seen[1].document] == [True, False]


@pytest.mark.parametrize("dialect", FORMS)
@pytest.mark.parametrize(
    "document",
    [
        {"error": 5},
        {"error": {"message": "bad"}},
        {"error": {"message": 1, "type": "x", "param": None, "code": None}},
        {"type": "error", "error": "bad"},
        {"type": "error", "error": {"message": "bad"}},
        {"type": "error"},
        [],
        None,
    ],
)
def test_errors_in_no_form_are_told(dialect: str, document: object) -> None:
    if dialect == "ollama" and isinstance(document, dict) and document.get("error") == "bad":
        document = {"detail": "bad"}
    with site_of(partial(refusing, document=document)) as site:
        found = errors(dialect, site)
    assert found.result is Result.FAIL
    assert "in no form that its clients read" in found.evidence


@pytest.mark.parametrize(
    ("say", "told"),
    [
        (partial(refusing, document=NATIVE, status=500), "500 invalid_request, not 400"),
        (partial(refusing, document="<html>"), "no JSON"),
        (always(answer(400, NATIVE)), "an unknown model: 400 invalid_request, not 404"),
    ],
)
def test_other_statuses_and_pages_are_told(say: Any, told: str) -> None:
    with site_of(say) as site:
        found = errors("ollama", site)
    assert found.result is Result.FAIL
    assert told in found.evidence


def test_a_route_that_the_server_behind_lacks_is_its_own_affair() -> None:
    def say(asked: Asked) -> bytes:
        if NO_SUCH_MODEL.encode() in asked.body:
            return answer(404, "404 page not found")
        return answer(400, ANTHROPIC)

    with site_of(say) as site:
        found = errors("anthropic", site)
    assert found.result is Result.OK
    assert "does not have this route" in found.evidence


LIMITS = {"limits": {"max_prompt_chars": 10, "max_messages": 2}}


def limited(asked: Asked, *, chars: bytes, messages: bytes) -> bytes:
    if asked.path == "/config":
        return answer(200, LIMITS)
    assert asked.document["options"]["num_predict"] == 1
    if asked.path == "/api/generate":
        assert len(asked.document["prompt"]) == 12
        return chars
    assert len(asked.document["messages"]) == 3
    return messages


TOO_LARGE = answer(413, {"code": "too_large"})


@pytest.mark.parametrize(
    ("chars", "messages", "result"),
    [
        (TOO_LARGE, TOO_LARGE, Result.OK),
        (answer(200, {}), TOO_LARGE, Result.FAIL),
        (TOO_LARGE, answer(200, {}), Result.FAIL),
        (answer(413, "<html>"), TOO_LARGE, Result.WARN),
    ],
)
def test_limits_hold(chars: bytes, messages: bytes, result: Result) -> None:
    with site_of(partial(limited, chars=chars, messages=messages)) as site:
        assert prompt_limit(site).result is result


def test_limits_that_are_too_large_to_try_are_left() -> None:
    huge = answer(200, {"limits": {"max_prompt_chars": 10**9}})
    with site_of(always(huge)) as site:
        assert prompt_limit(site).result is Result.SKIPPED


def guarded(asked: Asked, *, bad: Mapping[str, bytes] | None = None, good: bytes) -> bytes:
    if BAD_PROMPT.encode() not in asked.body:
        return good
    name = next(name for name, form in FORMS.items() if form.path == asked.path)
    if bad and name in bad:
        return bad[name]
    document = dict(RIGHT[name])
    if name == "ollama":
        document["code"] = "prompt_blocked"
    else:
        document["error"] = {**document["error"], "code": "prompt_blocked"}
    return answer(403, document)


CLEAN = answer(200, {}, X_OGP_Guard='input="clean;cached", output="off"')


def test_a_guard_that_is_awake_is_right() -> None:
    with site_of(partial(guarded, good=CLEAN)) as site:
        found = guard(site)
    assert found.result is Result.OK
    assert BAD_PROMPT not in found.evidence


@pytest.mark.parametrize("dialect", FORMS)
@pytest.mark.parametrize(
    ("said", "result"),
    [
        (answer(200, {}), Result.FAIL),
        (answer(200, {}, X_OGP_Guard='input="clean"'), Result.FAIL),
        (answer(200, {}, X_OGP_Guard='input="clean;flagged:injection_rules"'), Result.WARN),
        (answer(503, {"code": "guard_error"}), Result.FAIL),
        (answer(403, {"code": "access_denied"}), Result.FAIL),
        (answer(403, {"code": "prompt_blocked", "error": 1}), Result.FAIL),
    ],
)
def test_an_attack_that_is_not_refused_is_told(dialect: str, said: bytes, result: Result) -> None:
    with site_of(partial(guarded, bad={dialect: said}, good=CLEAN)) as site:
        found = guard(site)
    assert found.result is result
    assert BAD_PROMPT not in found.evidence + found.hint


@pytest.mark.parametrize(
    ("good", "result"),
    [
        (answer(403, {"code": "prompt_blocked"}), Result.FAIL),
        (answer(200, {}), Result.WARN),
        (answer(200, {}, X_OGP_Guard='input="off", output="off"'), Result.FAIL),
    ],
)
def test_a_harmless_question_must_pass_and_be_told(good: bytes, result: Result) -> None:
    with site_of(partial(guarded, good=good)) as site:
        assert guard(site).result is result


def test_a_refusal_in_another_dialects_words_is_told() -> None:
    wrong = answer(403, {"type": "error", "error": {"code": "prompt_blocked", "message": "x"}})
    with site_of(partial(guarded, bad={"anthropic": wrong}, good=CLEAN)) as site:
        assert guard(site).result is Result.FAIL
