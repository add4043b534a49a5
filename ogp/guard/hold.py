"""One answer on its way: what must wait, and for how long."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Never

from ogp.core.errors import ResponseBlockedError, TooLargeError
from ogp.core.ports import Report
from ogp.core.types import AnswerEvent, InferenceRequest, TextKind, Verdict
from ogp.guard.base import Finding, Scanner, View
from ogp.guard.cache import Direction, VerdictCache, remembered, verdict_key
from ogp.guard.channel import Channel, Mark
from ogp.guard.normalise import Normaliser
from ogp.guard.tally import Tally, blocking_names, refusal_facts

MAX_CHANNELS = 1_024
"""Texts of one answer that are followed; an answer of more is refused."""
MAX_HELD_BYTES = 1024 * 1024
"""Bytes of events that may wait behind the first; then it is scanned as ended and passed on."""
TURN_CHARS = 16
"""A text may wait while each of the others grows by so much: choices come token by token."""
SCANS_PER_CHAR = 4
"""A growing text is scanned when it has grown by a quarter of what must be looked at again."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What is the same for every answer."""

    scanners: tuple[Scanner, ...]
    """In the order they are asked; at least one."""
    normaliser: Normaliser | None
    """Makes the second view; None where no scanner reads it."""
    block_on_error: bool
    """A scanner that fails ends the answer."""
    window_chars: int
    """Most characters that are gathered before they are scanned."""
    cache: VerdictCache | None = None
    """Asked for the whole text of an answer that is not streamed."""


@dataclass(frozen=True, slots=True)
class _Held:
    event: AnswerEvent
    marks: tuple[Mark, ...]


class HeldAnswer:
    """One answer on its way. For one thread.

    An event leaves when everything before it has left, and no match that is yet to be found can
    begin in its text. Two things would hold it for ever and are cut short: a text that stopped
    growing while others go on (thinking, once the answer proper began), and a flood of events
    without text. Then the text is scanned as if it had ended and passed on; it stays context, so
    a phrase can still not leave whole, at worst its first part.
    """

    def __init__(self, policy: Policy, request: InferenceRequest, report: Report) -> None:
        self._policy, self._report = policy, report
        self._reported = False
        self._streamed = request.stream
        self._prompt = "\n".join(
            part.text for part in request.texts if part.kind is TextKind.CONTENT
        )
        self._tally = Tally()
        self._verdict: Verdict | None = None  # of the whole answer
        self._channels: dict[str, Channel] = {}
        self._held: deque[_Held] = deque()
        self._held_bytes = 0
        hold_chars = max(scanner.hold_chars for scanner in policy.scanners)
        self._patience_chars = policy.window_chars + hold_chars
        self._grown_chars = 0  # of all texts together

    def push(self, event: AnswerEvent) -> list[AnswerEvent]:
        """Take an event; what may leave now."""
        marks = []
        for name, text in event.texts:
            if text:
                channel = self._channel(name)
                marks.append(channel.append(text))
                self._grown_chars += len(text)
                channel.grown_at = self._grown_chars
                self._scan_if_due(channel)
        self._held.append(_Held(event, tuple(marks)))
        self._held_bytes += len(event.raw)
        if not self._streamed:
            return []
        passed = self._passed()
        while self._is_stuck():
            self._free_first()
            passed += self._passed()
        return passed

    def finish(self) -> list[AnswerEvent]:
        """Nothing follows: scan what is left, report, and let everything go."""
        cache = None if self._streamed else self._policy.cache
        self._verdict = remembered(cache, self._key, self._scan_rest)
        self.report_once()
        return [held.event for held in self._held]

    def report_once(self) -> Verdict:
        """Report what is known now, unless that was done already."""
        verdict = self._verdict or self._tally.verdict()
        if not self._reported:
            self._reported = True
            self._report(verdict)
        return verdict

    def refuse(self, name: str, finding: Finding) -> Never:
        """End the answer for what was found elsewhere.

        Raises:
            ResponseBlockedError: always.
        """
        self._tally.note(name, finding)
        self._stop()

    def _scan_rest(self) -> Verdict:
        for channel in self._channels.values():
            self._ask(channel.views(ended=True))
        return self._tally.verdict()

    def _key(self) -> bytes:
        texts = [piece for held in self._held for pair in held.event.texts for piece in pair]
        return verdict_key(Direction.OUTPUT, self._policy.scanners, [self._prompt, *texts])

    def _channel(self, name: str) -> Channel:
        channel = self._channels.get(name)
        if channel is None:
            if len(self._channels) == MAX_CHANNELS:
                self.refuse("channel_limit", Finding("too many separate texts"))
            channel = Channel(self._policy.scanners, self._policy.normaliser, self._prompt)
            self._channels[name] = channel
        return channel

    def _scan_if_due(self, channel: Channel) -> None:
        if channel.is_padded:
            self.refuse("invisible_text", Finding("run of characters that are not seen"))
        if not self._streamed:
            return  # all of it is held to the end, and scanned there as one
        known = channel.unsettled_chars - channel.fresh_chars
        due = min(self._policy.window_chars, max(1, known // SCANS_PER_CHAR))
        if channel.fresh_chars >= due:
            views = channel.views(ended=False)
            self._ask(views)
            channel.settle(views)

    def _ask(self, views: Sequence[View]) -> None:
        for scanner in self._policy.scanners:
            try:
                self._tally.ask(scanner, views)
            except TooLargeError:
                self.refuse(scanner.name, Finding("too long to be scanned"))
            if self._tally.is_blocked:
                self._stop()
        if self._tally.has_errors and self._policy.block_on_error:
            self._stop()

    def _stop(self) -> Never:
        """End the answer; what is held never leaves."""
        self._held.clear()
        verdict = self.report_once()
        if not self._tally.is_blocked:
            raise self._tally.failure("the answer was withheld")
        names = blocking_names(verdict)
        raise ResponseBlockedError(
            f"The answer was refused by the guard ({names}).",
            verdict,
            reason=names,
            **refusal_facts(verdict),
        )

    def _passed(self) -> list[AnswerEvent]:
        """Events that may leave. One without text could be the last, which the verdict precedes."""
        passed = []
        while self._held:
            first = self._held[0]
            may_be_last = len(self._held) == 1 and (not first.marks or first.event.usage)
            if may_be_last or not all(mark.is_passed for mark in first.marks):
                break
            self._held.popleft()
            self._held_bytes -= len(first.event.raw)
            passed.append(first.event)
        return passed

    def _is_stuck(self) -> bool:
        """Whether the first held event waits for a text that does not grow, or too many wait."""
        if len(self._held) < 2:
            return False
        first = self._held[0]
        if self._held_bytes - len(first.event.raw) > MAX_HELD_BYTES:
            return True
        grown_at = min(mark.channel.grown_at for mark in first.marks if not mark.is_passed)
        patience_chars = self._patience_chars + TURN_CHARS * len(self._channels)
        return self._grown_chars - grown_at > patience_chars

    def _free_first(self) -> None:
        """Let the first held event go, its texts scanned as if they had ended."""
        for mark in self._held[0].marks:
            if not mark.is_passed:
                self._ask(mark.channel.views(ended=True))
                mark.channel.free()
