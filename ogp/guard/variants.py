"""A guard for each group of callers, where overrides make them differ."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from ogp.core.ports import InputGuard, OutputGuard, Report, TextRewriter
from ogp.core.types import AnswerEvent, GuardState, InferenceRequest, Principal, Role, Verdict
from ogp.guard.base import Finder, Scanner
from ogp.guard.cache import Direction, VerdictCache
from ogp.guard.configuration import Configurations, Part
from ogp.guard.input import PromptGuard
from ogp.guard.normalise import Normaliser
from ogp.guard.output import AnswerGuard
from ogp.guard.overrides import directions_of, kept_finders, overridden
from ogp.guard.scanners import input_scanners, output_scanners
from ogp.settings.guard_schema import GuardSettings, OverrideSettings

G = TypeVar("G")
Described = Mapping[str, Mapping[str, int | str]]


class DescribedInput(InputGuard, Protocol):
    """A guard for prompts, with what `/health` shows of it."""

    def describe(self) -> Described:
        """Every scanner by name."""
        ...


class DescribedOutput(OutputGuard, Protocol):
    """A guard for answers, with what `/health` shows of it."""

    def describe(self) -> Described:
        """Every scanner by name."""
        ...


@dataclass(frozen=True, slots=True)
class Variant(Generic[G]):
    """A guard, and the names of what it consists of."""

    guard: G
    configurations: Configurations

    def naming(self, report: Report) -> Report:
        """Put the id of the configuration into a verdict before it is reported."""

        def report_named(verdict: Verdict) -> None:
            if verdict.state not in (GuardState.OFF, GuardState.NOT_SCANNED):
                verdict = replace(verdict, configuration=self.configurations.current())
            report(verdict)

        return report_named


class Choice(Generic[G]):
    """Which variant of a guard looks after whom. Immutable, hence thread-safe."""

    def __init__(
        self,
        direction: Direction,
        scanners: Sequence[Scanner],
        make: Callable[[Sequence[Scanner], Sequence[Finder]], G],
        overrides: Sequence[OverrideSettings] = (),
        finders: Sequence[Finder] = (),
    ) -> None:
        """Make every variant that can be needed: one for each set of entries that hold together.

        Args:
            direction: which entries count.
            scanners: that are on, in the order they are asked.
            make: a guard of such scanners and finders.
            overrides: checked by `check_overrides`.
            finders: that are on.

        Raises:
            ValueError: a threshold is given for a scanner without scores.
        """
        self._direction, self._make = direction, make
        self._scanners, self._finders = tuple(scanners), tuple(finders)
        self._overrides = [each for each in overrides if direction in directions_of(each)]
        self._variants: dict[tuple[int, ...], Variant[G]] = {}
        self.plain = self._variant(())
        """For callers without entries."""
        self._others = self._by_role(None)
        names = {name for each in self._overrides for name in each.users}
        self._by_user = {name: self._by_role(name) for name in sorted(names)}

    def of(self, principal: Principal) -> Variant[G]:
        """The variant for a caller; two look-ups."""
        return self._by_user.get(principal.username, self._others)[principal.role]

    def documents(self) -> Mapping[str, str]:
        """Id -> JSON of every configuration that any variant has judged in."""
        return {
            name: document
            for variant in self._variants.values()
            for name, document in variant.configurations.documents().items()
        }

    def _by_role(self, user: str | None) -> Mapping[Role, Variant[G]]:
        return {
            role: self._variant(
                tuple(
                    number
                    for number, each in enumerate(self._overrides)
                    if user in each.users or role in each.roles
                )
            )
            for role in Role
        }

    def _variant(self, holding: tuple[int, ...]) -> Variant[G]:
        variant = self._variants.get(holding)
        if variant is None:
            entries = [self._overrides[number] for number in holding]
            scanners = tuple(overridden(self._scanners, entries))
            finders = kept_finders(self._finders, entries)
            parts: tuple[Part, ...] = (*finders, *scanners)
            variant = Variant(self._make(scanners, finders), Configurations(self._direction, parts))
            self._variants[holding] = variant
        return variant


class InputVariants:
    """An `InputGuard` that differs by caller, and names its configuration in the verdict."""

    def __init__(self, choice: Choice[DescribedInput]) -> None:
        """Keep the variants."""
        self._choice = choice

    @property
    def plain(self) -> DescribedInput:
        """The guard of callers without overrides."""
        return self._choice.plain.guard

    def scan(
        self,
        request: InferenceRequest,
        principal: Principal,
        rewriter: TextRewriter,
        report: Report,
    ) -> InferenceRequest:
        """See `InputGuard.scan`."""
        variant = self._choice.of(principal)
        return variant.guard.scan(request, principal, rewriter, variant.naming(report))

    def describe(self) -> Described:
        """The scanners of callers without overrides."""
        return self.plain.describe()

    def configurations(self) -> Mapping[str, str]:
        """Id -> JSON, of every configuration that a verdict has named."""
        return self._choice.documents()


class OutputVariants:
    """An `OutputGuard` that differs by caller, and names its configuration in the verdict."""

    def __init__(self, choice: Choice[DescribedOutput]) -> None:
        """Keep the variants."""
        self._choice = choice

    @property
    def plain(self) -> DescribedOutput:
        """The guard of callers without overrides."""
        return self._choice.plain.guard

    def reads(self, request: InferenceRequest, principal: Principal) -> bool:
        """See `OutputGuard.reads`."""
        return self._choice.of(principal).guard.reads(request, principal)

    def filter(
        self,
        request: InferenceRequest,
        principal: Principal,
        rewriter: TextRewriter,
        events: Iterator[AnswerEvent],
        report: Report,
    ) -> Iterator[AnswerEvent]:
        """See `OutputGuard.filter`."""
        variant = self._choice.of(principal)
        naming = variant.naming(report)
        return variant.guard.filter(request, principal, rewriter, events, naming)

    def describe(self) -> Described:
        """The scanners of callers without overrides."""
        return self.plain.describe()

    def configurations(self) -> Mapping[str, str]:
        """Id -> JSON, of every configuration that a verdict has named."""
        return self._choice.documents()


def build_input_variants(
    settings: GuardSettings,
    cache: VerdictCache | None = None,
    models: Sequence[Scanner] = (),
    finders: Sequence[Finder] = (),
) -> InputVariants:
    """The guard for prompts, as `build_input_guard` has it, with variants for some callers.

    Args:
        settings: which scanners, what their hits do, and for whom something else holds.
        cache: remembers the verdicts of all variants, each apart.
        models: scanners that are asked last, as they are slow.
        finders: what they find is hidden from the model.

    Raises:
        ValueError: a phrase, a pattern or an override cannot be used; says what would be right.
    """
    normaliser = Normaliser()

    def make(scanners: Sequence[Scanner], finders: Sequence[Finder]) -> PromptGuard:
        return PromptGuard(
            scanners,
            normaliser,
            block_on_error=settings.block_on_error,
            cache=cache,
            finders=finders,
            restore=settings.input_scanners.anonymize.restore,
        )

    scanners = (*input_scanners(settings, normaliser), *models)
    on = finders if settings.input_enabled else ()
    return InputVariants(Choice(Direction.INPUT, scanners, make, settings.overrides, on))


def build_output_variants(
    settings: GuardSettings, cache: VerdictCache | None = None, models: Sequence[Scanner] = ()
) -> OutputVariants:
    """The guard for answers, as `build_output_guard` has it, with variants for some callers.

    Args and errors: as `build_input_variants`.
    """
    normaliser = Normaliser()

    def make(scanners: Sequence[Scanner], _finders: Sequence[Finder]) -> AnswerGuard:
        return AnswerGuard(
            scanners,
            normaliser,
            block_on_error=settings.block_on_error,
            window_chars=settings.output_window_chars,
            cache=cache,
        )

    scanners = (*output_scanners(settings, normaliser), *models)
    return OutputVariants(Choice(Direction.OUTPUT, scanners, make, settings.overrides))
