"""Whose turn it is, how often, and in which class."""

from typing import Any

import pytest

from ogp.core.errors import ForbiddenError
from ogp.core.slots import Claim
from ogp.core.types import InferenceRequest, Principal, Priority, Role
from ogp.queueing.claims import ClaimRules
from ogp.settings.queue_schema import QueueSettings

BATCH, INTERACTIVE = Priority.BATCH, Priority.INTERACTIVE


def claim(
    *,
    asked: Priority | None = None,
    token: Priority | None = None,
    role: Role = Role.USER,
    name: str = "alice",
    **settings: Any,
) -> Claim:
    request = InferenceRequest("ollama", "chat", "POST", "/api/chat", model="m", priority=asked)
    rules = ClaimRules(QueueSettings.model_validate(settings))
    return rules.claim(request, Principal(name, role, priority=token), "r1")


def test_a_claim_names_the_user_and_the_request() -> None:
    assert claim() == Claim("alice", 1.0, INTERACTIVE, "r1")


@pytest.mark.parametrize("token", [None, INTERACTIVE, BATCH])
@pytest.mark.parametrize("default", ["interactive", "batch"])
def test_the_class_is_the_tokens_or_else_the_default(token: Priority | None, default: str) -> None:
    assert claim(token=token, priority=default).priority == (token or default)


@pytest.mark.parametrize("token", [None, INTERACTIVE, BATCH])
def test_everybody_may_ask_for_batch(token: Priority | None) -> None:
    assert claim(asked=BATCH, token=token).priority is BATCH


def test_interactive_may_be_asked_for_where_it_is_the_class_anyway() -> None:
    assert claim(asked=INTERACTIVE).priority is INTERACTIVE
    assert claim(asked=INTERACTIVE, token=INTERACTIVE, priority="batch").priority is INTERACTIVE


@pytest.mark.parametrize("token", [None, BATCH])
def test_a_better_class_is_refused_with_the_header_that_asked(token: Priority | None) -> None:
    with pytest.raises(ForbiddenError, match=r"^X-OGP-Priority: interactive") as refusal:
        claim(asked=INTERACTIVE, token=token, priority="batch")
    assert refusal.value.status == 403


def test_roles_that_the_operator_names_may_ask_for_a_better_class() -> None:
    asked = claim(asked=INTERACTIVE, token=BATCH, role=Role.ADMIN)
    assert asked.priority is INTERACTIVE
    with pytest.raises(ForbiddenError):
        claim(asked=INTERACTIVE, token=BATCH, role=Role.ADMIN, priority_roles=[])


WEIGHTS = [
    {"weight": 3, "users": ["bob", "Carl"]},
    {"weight": 2, "roles": ["admin"]},
    {"weight": 0.5, "users": ["carl"], "roles": ["user"]},
]


@pytest.mark.parametrize(
    ("name", "role", "weight"),
    [
        ("bob", Role.ADMIN, 3),
        ("carl", Role.USER, 3),
        ("root", Role.ADMIN, 2),
        ("alice", Role.USER, 0.5),
    ],
)
def test_the_first_rule_that_applies_gives_the_weight(name: str, role: Role, weight: float) -> None:
    assert claim(name=name, role=role, weights=WEIGHTS).weight == weight


def test_whom_no_rule_names_has_weight_one() -> None:
    assert claim(weights=WEIGHTS[:2]).weight == 1.0
