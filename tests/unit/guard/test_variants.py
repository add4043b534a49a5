"""Which guard looks after whom, and how its verdicts are named."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson
import pytest

from ogp.core.clock import SystemClock
from ogp.core.details import details_of
from ogp.core.errors import PromptBlockedError, ResponseBlockedError
from ogp.core.ports import Report, TextRewriter
from ogp.core.types import (
    AnswerEvent,
    GuardState,
    InferenceRequest,
    Principal,
    Role,
    TextKind,
    TextPart,
    Verdict,
)
from ogp.guard.base import Finder, Scanner, Span, View
from ogp.guard.cache import Direction, VerdictCache
from ogp.guard.configuration import configuration_id
from ogp.guard.invisible import InvisibleTextScanner
from ogp.guard.length import TokenLimitScanner
from ogp.guard.secrets import SecretsScanner
from ogp.guard.tally import Tally
from ogp.guard.variants import (
    Choice,
    InputVariants,
    OutputVariants,
    build_input_variants,
    build_output_variants,
)
from ogp.settings.guard_schema import GuardSettings, OverrideSettings
from ogp.settings.schema import CacheSettings

ADMIN, USER = Role.ADMIN, Role.USER
REQUEST = InferenceRequest("ollama", "chat", "POST", "/api/chat")
EVENT = AnswerEvent(b"{}")
LONG = View("word " * 9)


class Rewriter:
    """Changes nothing."""

    def with_texts(
        self, request: InferenceRequest, replacements: Mapping[str, str]
    ) -> InferenceRequest:
        raise AssertionError(replacements)

    def with_answer_texts(
        self, event: AnswerEvent, texts: Sequence[tuple[str, str]]
    ) -> AnswerEvent:
        raise AssertionError(texts)


class Nothing:
    """Finds nothing, under a name."""

    required = True

    def __init__(self, name: str = "anonymize") -> None:
        self.name = name

    def find(self, text: str) -> Sequence[Span]:
        assert text
        return ()

    def describe(self) -> Mapping[str, int | str]:
        return {"entities": 4}

    def identity(self) -> str:
        return f"{self.name}:1"


class Guard:
    """Looks at one text in both directions, as both guards do."""

    def __init__(self, scanners: Sequence[Scanner], finders: Sequence[Finder] = ()) -> None:
        self.scanners, self.finders = tuple(scanners), tuple(finders)

    def scan(
        self,
        request: InferenceRequest,
        principal: Principal,
        rewriter: TextRewriter,
        report: Report,
    ) -> InferenceRequest:
        assert principal.username
        assert isinstance(rewriter, Rewriter)
        report(self._verdict())
        return request

    def reads(self, request: InferenceRequest, principal: Principal) -> bool:
        assert request is REQUEST
        assert principal.username
        return bool(self.scanners)

    def filter(
        self,
        request: InferenceRequest,
        principal: Principal,
        rewriter: TextRewriter,
        events: Iterator[AnswerEvent],
        report: Report,
    ) -> Iterator[AnswerEvent]:
        self.scan(request, principal, rewriter, report)
        yield from events

    def describe(self) -> Mapping[str, Mapping[str, int | str]]:
        return {scanner.name: scanner.describe() for scanner in self.scanners}

    def _verdict(self) -> Verdict:
        if not self.scanners:
            return Verdict(GuardState.OFF)
        tally = Tally()
        for scanner in self.scanners:
            tally.ask(scanner, [LONG])
        return tally.verdict()


def choice_of(*entries: dict[str, Any], direction: Direction = Direction.INPUT) -> Choice[Guard]:
    scanners = [TokenLimitScanner(4), InvisibleTextScanner()]
    return Choice(direction, scanners, Guard, [OverrideSettings(**entry) for entry in entries])


def limit(action: str, **whom: Any) -> dict[str, Any]:
    return {"scanner": "token_limit", "action": action, **whom}


def scanned(variants: InputVariants, username: str, role: Role = USER) -> Verdict:
    reports: list[Verdict] = []
    principal = Principal(username, role)
    assert variants.scan(REQUEST, principal, Rewriter(), reports.append) is REQUEST
    (verdict,) = reports
    return verdict


def filtered(variants: OutputVariants, username: str) -> Verdict:
    reports: list[Verdict] = []
    principal = Principal(username, USER)
    events = variants.filter(REQUEST, principal, Rewriter(), iter([EVENT]), reports.append)
    assert list(events) == [EVENT]
    (verdict,) = reports
    return verdict


@pytest.mark.parametrize(
    ("username", "role", "summary"),
    [
        ("alice", USER, "clean;flagged:token_limit"),
        ("alice", ADMIN, "clean;flagged:token_limit"),
        ("bob", USER, "blocked:token_limit"),
        ("bob", ADMIN, "clean"),
        ("ALICE", USER, "blocked:token_limit"),
    ],
)
def test_users_and_roles_have_guards_of_their_own(username: str, role: Role, summary: str) -> None:
    off, flag = limit("off", roles=("admin",)), limit("flag", users=("alice",))
    assert scanned(InputVariants(choice_of(off, flag)), username, role).summary() == summary


def test_who_has_no_entry_has_the_plain_guard() -> None:
    variants = InputVariants(choice_of(limit("off", users=("alice",))))
    choice = choice_of(limit("off", users=("alice",)))
    assert choice.of(Principal("bob", USER)) is choice.plain
    assert choice.of(Principal("alice", USER)) is not choice.plain
    assert variants.plain.describe() == variants.describe()


def test_callers_with_the_same_entries_share_a_guard() -> None:
    choice = choice_of(limit("off", users=("alice", "bob")), limit("flag", users=("carol",)))
    guards = [choice.of(Principal(name, USER)) for name in ("alice", "bob", "carol")]
    assert guards[0] is guards[1]
    assert guards[1] is not guards[2]


def test_an_entry_of_the_other_direction_does_not_count() -> None:
    there = limit("off", users=("alice",), direction="output")
    assert scanned(InputVariants(choice_of(there)), "alice").summary() == "blocked:token_limit"
    answers = OutputVariants(choice_of(there, direction=Direction.OUTPUT))
    assert filtered(answers, "alice").summary() == "clean"


def test_verdicts_are_named_by_the_scanners_of_the_caller() -> None:
    choice = choice_of(limit("off", users=("alice",)))
    variants = InputVariants(choice)
    plain, other = scanned(variants, "bob"), scanned(variants, "alice")
    assert plain.configuration == configuration_id(
        Direction.INPUT, [TokenLimitScanner(4), InvisibleTextScanner()]
    )
    assert other.configuration == configuration_id(Direction.INPUT, [InvisibleTextScanner()])
    shown = {name: orjson.loads(text) for name, text in variants.configurations().items()}
    assert shown.keys() == {plain.configuration, other.configuration}
    assert list(shown[other.configuration]["scanners"]) == ["invisible_text"]


def test_another_action_is_another_configuration() -> None:
    variants = InputVariants(choice_of(limit("flag", users=("alice",))))
    named = {scanned(variants, name).configuration for name in ("alice", "bob")}
    assert len(named) == 2


def test_nothing_that_has_judged_nothing_is_told() -> None:
    assert InputVariants(choice_of(limit("off", users=("alice",)))).configurations() == {}


def test_where_nobody_looked_there_is_no_configuration() -> None:
    off = [{"scanner": name, "action": "off"} for name in ("token_limit", "invisible_text")]
    variants = OutputVariants(
        choice_of(*({**entry, "users": ("alice",)} for entry in off), direction=Direction.OUTPUT)
    )
    alice, bob = Principal("alice", USER), Principal("bob", USER)
    assert (variants.reads(REQUEST, alice), variants.reads(REQUEST, bob)) == (False, True)
    assert filtered(variants, "alice") == Verdict(GuardState.OFF)
    assert variants.configurations() == {}


def test_answers_have_names_too() -> None:
    variants = OutputVariants(choice_of(direction=Direction.OUTPUT))
    verdict = filtered(variants, "alice")
    assert list(variants.configurations()) == [verdict.configuration]
    assert variants.plain.describe() == variants.describe()


def test_a_threshold_without_scores_is_refused_when_the_guard_is_built() -> None:
    entry = OverrideSettings(scanner="secrets", users=("alice",), threshold=0.5)
    with pytest.raises(ValueError, match="secrets gives no scores"):
        Choice(Direction.INPUT, [SecretsScanner()], Guard, [entry])


def test_a_finder_can_be_off_for_somebody() -> None:
    entry = OverrideSettings(scanner="anonymize", action="off", users=("alice",))
    choice = Choice(Direction.INPUT, [SecretsScanner()], Guard, [entry], [Nothing(), Nothing("x")])
    finders = {
        name: [finder.name for finder in choice.of(Principal(name, USER)).guard.finders]
        for name in ("alice", "bob")
    }
    assert finders == {"alice": ["x"], "bob": ["anonymize", "x"]}


def test_finders_are_part_of_a_configuration() -> None:
    with_finder = Choice(Direction.INPUT, [SecretsScanner()], Guard, (), [Nothing()])
    without = Choice(Direction.INPUT, [SecretsScanner()], Guard)
    current = with_finder.plain.configurations.current()
    assert current != without.plain.configurations.current()
    shown = orjson.loads(with_finder.documents()[current])["scanners"]
    assert list(shown) == ["anonymize", "secrets"]
    assert shown["anonymize"]["entities"] == 4


RULES = {
    "input_scanners": {"ban_substrings": {"substrings": ["heron"]}},
    "output_scanners": {"ban_substrings": {"substrings": ["heron"]}},
    "overrides": [
        {"scanner": "ban_substrings", "users": ["alice"], "action": "flag"},
        {"scanner": "ban_substrings", "users": ["carol"], "action": "off"},
    ],
}
PROMPT = replace(REQUEST, texts=(TextPart("prompt", "a heron", TextKind.CONTENT),))
ANSWER = AnswerEvent(b"{}", (("response", "a heron"),))


def summary_of(variants: InputVariants, username: str) -> str:
    reports: list[Verdict] = []
    with suppress(PromptBlockedError):
        variants.scan(PROMPT, Principal(username, USER), Rewriter(), reports.append)
    return reports[-1].summary()


def test_real_prompts_are_judged_by_the_rules_of_their_callers() -> None:
    cache = VerdictCache(CacheSettings(), SystemClock())
    variants = build_input_variants(GuardSettings.model_validate(RULES), cache)
    for note in ("", ";cached"):
        assert summary_of(variants, "bob") == f"blocked:ban_substrings{note}"
        assert summary_of(variants, "carol") == f"clean{note}"
    assert summary_of(variants, "alice").startswith("clean")
    assert "flagged:ban_substrings" in summary_of(variants, "alice")


def test_a_remembered_verdict_names_its_configuration_and_keeps_its_scores() -> None:
    cache = VerdictCache(CacheSettings(), SystemClock())
    variants = build_input_variants(GuardSettings.model_validate(RULES), cache)
    reports: list[Verdict] = []
    for _ in range(2):
        variants.scan(PROMPT, Principal("carol", USER), Rewriter(), reports.append)
    first, second = (orjson.loads(details_of(report) or "") for report in reports)
    assert (first["cached"], second["cached"]) == (False, True)
    assert first["configuration"] == second["configuration"]
    assert first["configuration"] in variants.configurations()
    for name, said in first["scanners"].items():
        assert said.pop("ms") >= 0
        assert second["scanners"][name] == said
    assert "ban_substrings" not in first["scanners"]


@pytest.mark.parametrize(
    ("username", "summary"),
    [
        ("bob", "blocked:ban_substrings"),
        ("alice", "clean;flagged:ban_substrings"),
        ("carol", "clean"),
    ],
)
def test_real_answers_are_judged_by_the_rules_of_their_callers(username: str, summary: str) -> None:
    variants = build_output_variants(GuardSettings.model_validate(RULES))
    reports: list[Verdict] = []
    principal = Principal(username, USER)
    events = variants.filter(PROMPT, principal, Rewriter(), iter([ANSWER]), reports.append)
    with suppress(ResponseBlockedError):
        assert list(events) == [ANSWER]
    assert reports[0].summary() == summary


def test_a_finder_is_off_with_its_direction() -> None:
    settings = GuardSettings(input_enabled=False)
    variants = build_input_variants(settings, finders=[Nothing()])
    assert summary_of(variants, "bob") == "off"
