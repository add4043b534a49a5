"""`ogp doctor`: refusals in the words of each dialect, limits, and whether the guard is awake."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ogp.cli.doctor_reply import Reply
from ogp.cli.doctor_site import (
    BROKEN_JSON,
    Check,
    Finding,
    Need,
    Site,
    code_of,
    fail,
    ok,
    said,
    skipped,
    warn,
)
from ogp.cli.doctor_streams import is_missing_behind
from ogp.guard.samples import GOOD, PLAIN

BAD_PROMPT = PLAIN["injection_rules"]
"""What the guard refuses with its default settings."""
NO_SUCH_MODEL = "ogp-doctor-no-such-model"
MOST_CHARS = 2_000_000
"""A longer prompt is not sent, whatever the limit."""
MOST_MESSAGES = 20_000
USER_NEEDS = (Need.SERVER, Need.TOKEN)
MODEL_NEEDS = (*USER_NEEDS, Need.MODEL)
GUARD_ON = "see guard.input_enabled and guard.input_scanners.injection_rules (docs/guard.md)"
OWN_PAGES = "let errors of the proxy pass: no `proxy_intercept_errors`, no `error_page` for them"

Ask = Callable[[str], Mapping[str, Any]]


def _is_ollama(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("error"), str)


def _is_openai(document: Any) -> bool:
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict) or not {"param", "code"} <= set(error):
        return False
    return isinstance(error.get("message"), str) and isinstance(error.get("type"), str)


def _is_anthropic(document: Any) -> bool:
    if not isinstance(document, dict) or document.get("type") != "error":
        return False
    error = document.get("error")
    if not isinstance(error, dict):
        return False
    return isinstance(error.get("message"), str) and isinstance(error.get("type"), str)


def _chat(text: str) -> Mapping[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "stream": False, "max_tokens": 1}


def _native_chat(text: str) -> Mapping[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"messages": messages, "stream": False, "options": {"num_predict": 1}}


def _response(text: str) -> Mapping[str, Any]:
    return {"input": text, "stream": False, "max_output_tokens": 1}


@dataclass(frozen=True, slots=True)
class Form:
    """How one dialect asks, and how it is refused."""

    path: str
    ask: Ask
    """A body for a text, without the model."""
    is_error: Callable[[Any], bool]


FORMS = {
    "ollama": Form("/api/chat", _native_chat, _is_ollama),
    "openai": Form("/v1/chat/completions", _chat, _is_openai),
    "responses": Form("/v1/responses", _response, _is_openai),
    "anthropic": Form("/v1/messages", _chat, _is_anthropic),
}


def errors(dialect: str, site: Site) -> Finding:
    """Send what is wrong in three ways."""
    form = FORMS[dialect]
    asked: list[tuple[str, int, Mapping[str, Any] | bytes]] = [
        ("broken JSON", 400, BROKEN_JSON),
        ("no model", 400, form.ask(GOOD)),
        ("an unknown model", 404, {"model": NO_SUCH_MODEL, **form.ask(GOOD)}),
    ]
    seen = []
    for what, status, document in asked:
        reply = site.ask("POST", form.path, document)
        if status == 404 and is_missing_behind(reply):
            seen.append("the server behind does not have this route")
            continue
        problem = _misshapen(form, reply, status)
        if problem:
            return fail(f"{form.path}, {what}: {said(reply)}, {problem}", OWN_PAGES)
        seen.append(f"{what}: {said(reply)}")
    return ok(f"{form.path}, {'; '.join(seen)}")


def _misshapen(form: Form, reply: Reply, status: int) -> str:
    """What is wrong with a refusal; empty if nothing is."""
    if reply.status != status:
        return f"not {status}"
    if reply.content_type != "application/json":
        return "no JSON by its content type"
    return "" if form.is_error(reply.document) else "in no form that its clients read"


def prompt_limit(site: Site) -> Finding:
    """Send one character and one message too many."""
    chars = site.limit("max_prompt_chars", 100_000)
    messages = site.limit("max_messages", 100)
    if chars >= MOST_CHARS or messages >= MOST_MESSAGES:
        return skipped(f"the limits are {chars} characters, {messages} messages: too much to send")
    long = {"model": site.model, "prompt": "a " * (chars // 2 + 1), "stream": False}
    message = {"role": "user", "content": "a"}
    many = {"model": site.model, "messages": [message] * (messages + 1), "stream": False}
    for what, path, document in (
        (f"{chars + 1} characters", "/api/generate", long),
        (f"{messages + 1} messages", "/api/chat", many),
    ):
        reply = site.ask("POST", path, {**document, "options": {"num_predict": 1}})
        if reply.status != 413:
            return fail(f"{what}: {said(reply)}, not 413", "see limits.* in its configuration")
        if code_of(reply.document) != "too_large":
            return warn(
                f"{what}: {said(reply)}, not from the proxy",
                "nginx: a `client_max_body_size` not below limits.max_body_bytes",
            )
    return ok(f"413 for more than {chars} characters or {messages} messages")


def guard(site: Site) -> Finding:
    """Send what the guard must refuse, in every dialect, and what it must let pass."""
    for name, form in FORMS.items():
        reply = site.ask("POST", form.path, {"model": site.model, **form.ask(BAD_PROMPT)})
        if reply.status == 200:
            shown = reply.header("X-OGP-Guard") or "no X-OGP-Guard"
            judged = warn if "flagged" in shown else fail
            return judged(f"{form.path}: a known attack passes ({shown})", GUARD_ON)
        if reply.status != 403 or code_of(reply.document) != "prompt_blocked":
            return fail(f"{form.path}: {said(reply)}, not 403 prompt_blocked", GUARD_ON)
        if not form.is_error(reply.document):
            return fail(f"{name}: refused in no form that its clients read", OWN_PAGES)
    reply = site.ask("POST", FORMS["ollama"].path, {"model": site.model, **_native_chat(GOOD)})
    if reply.status != 200:
        hint = "can this model chat? name one with --model; else see `ogp guard scan`"
        return fail(f"a harmless question: {said(reply)}", hint)
    told = reply.header("X-OGP-Guard")
    if told is None:
        return warn("works, but without `X-OGP-Guard`", "let this header pass")
    if 'input="clean' not in told:
        return fail(f"a harmless question: {told}", GUARD_ON)
    return ok(f"an attack is refused in {len(FORMS)} dialects; a harmless question: {told}")


CHECKS = (
    *(
        Check(
            f"errors-{name}",
            f"errors of {form.path} have the form that its clients read",
            partial(errors, name),
            USER_NEEDS,
        )
        for name, form in FORMS.items()
    ),
    Check(
        "prompt-limit", "prompts over the limits are refused with 413", prompt_limit, MODEL_NEEDS
    ),
    Check(
        "guard",
        "a known attack is refused, a harmless question passes, X-OGP-Guard tells",
        guard,
        MODEL_NEEDS,
    ),
)
