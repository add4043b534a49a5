"""Prompts that go on without what scanners hit in them, or with placeholders for it."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ogp.core.ports import TextRewriter
from ogp.core.types import GuardState, InferenceRequest, Verdict
from ogp.guard.base import Finder, Finding, Redactor, Span, View, ViewKind
from ogp.guard.edits import Cluster, Edit, clusters_of, edited, redacted
from ogp.guard.tally import Tally
from ogp.guard.vault import Vault

Found = dict[str, list[tuple[Span, str]]]
"""Text -> what is to be replaced in it, and who found it."""


class FinderScanner:
    """A finder in the place of a scanner: asked, timed and excused like one. For one thread."""

    reads = (ViewKind.RAW,)
    hold_chars = 1

    def __init__(self, finder: Finder) -> None:
        """Begin without findings."""
        self.name, self.required = finder.name, finder.required
        self._finder = finder
        self.found: dict[str, Sequence[Span]] = {}
        """Text -> its pieces; nothing at all once the finder failed."""

    def scan(self, view: View) -> Finding | None:
        """Keep what the finder finds; that alone is no hit."""
        try:
            spans = self._finder.find(view.text)
        except Exception:
            self.found.clear()  # a text is replaced by all rules or goes on as it came
            raise
        if spans:
            self.found[view.text] = spans
        return None

    def settled(self, view: View) -> int:
        """Everything: it looks at whole prompts only."""
        return len(view.text)

    def describe(self) -> Mapping[str, int | str]:
        """What the finder says of itself."""
        return self._finder.describe()

    def identity(self) -> str:
        """The finder's."""
        return self._finder.identity()


@dataclass(frozen=True, slots=True)
class Redaction:
    """A request and what was done to it."""

    request: InferenceRequest
    tally: Tally | None = None
    """What was replaced and by whom, and which finders failed; None where nobody looked."""


class PromptRedaction:
    """Replaces pieces of prompts. Immutable, hence thread-safe."""

    def __init__(
        self, redactors: Sequence[Redactor], finders: Sequence[Finder], *, restore: bool
    ) -> None:
        """Keep who says what is replaced.

        Args:
            redactors: what they hit is gone for good.
            finders: what they find is hidden from the model.
            restore: what was hidden comes back in the answer.
        """
        self.redactors, self.finders = tuple(redactors), tuple(finders)
        self._restore = restore

    def apply(self, request: InferenceRequest, rewriter: TextRewriter) -> Redaction:
        """The request as it may go on, if it is clean: that is for a scan to say.

        A redactor that fails replaces nothing, hence what it would have replaced is still there
        for the scan.

        Raises:
            InvalidRequestError, TooLargeError: the changed request is none that may go on.
        """
        tally = Tally()
        texts = tuple(dict.fromkeys(part.text for part in request.texts if part.text))
        found, hidden = self._found(texts, tally)
        vault = Vault(texts)
        edits = {
            text: self._edits(text, clusters_of(found[text]), vault)
            for text in texts
            if text in found
        }
        if not edits:
            return Redaction(request, tally)
        changed = rewriter.with_texts(request, {text: edited(text, edits[text]) for text in edits})
        left = {part.text for part in changed.texts}  # in keys, and in JSON within strings
        for text in edits:
            if text not in left:
                for edit in edits[text]:
                    tally.note_redaction(edit.owner, 1)
            elif text in hidden:
                reason = "personal data where it cannot be replaced"
                tally.note(hidden[text], Finding(reason))
        words = vault.words() if self._restore else {}
        return Redaction(replace(changed, vault=words), tally)

    def _found(self, texts: Sequence[str], tally: Tally) -> tuple[Found, dict[str, str]]:
        """What is to be replaced, and by text the finder that would hide something in it."""
        found: Found = defaultdict(list)
        hidden: dict[str, str] = {}
        for redactor in self.redactors:
            for text in texts:
                for span in spans_of(redactor, View(text)):
                    found[text].append((span, redactor.name))
        for finder in self.finders:
            search = FinderScanner(finder)
            tally.ask(search, [View(text) for text in texts])
            for text, spans in search.found.items():
                found[text].extend((span, finder.name) for span in spans)
                hidden[text] = finder.name
        return found, hidden

    def _edits(self, text: str, clusters: Sequence[Cluster], vault: Vault) -> list[Edit]:
        """What a redactor hit does not come back, whatever else was found there."""
        gone = {redactor.name for redactor in self.redactors}
        edits = []
        for cluster in clusters:
            span, owner = next(
                (pair for pair in cluster.spans if pair[1] in gone), cluster.spans[0]
            )
            word = text[cluster.start : cluster.end]
            put = redacted(span) if owner in gone else vault.placeholder(word, span.label)
            edits.append(Edit(cluster.start, cluster.end, put, owner))
        return edits


def spans_of(redactor: Redactor, view: View) -> Sequence[Span]:
    """What a redactor would take out; nothing where it fails: the scan sees it then."""
    try:
        return redactor.spans(view)
    except Exception as error:  # noqa: BLE001 - its message could hold the text
        logging.getLogger(__name__).error(
            "guard redactor failed: scanner=%s error=%s", redactor.name, type(error).__name__
        )
        return ()


def noted(verdict: Verdict, redaction: Verdict) -> Verdict:
    """The verdict of a text that was changed before it was scanned.

    Args:
        verdict: of the scan, maybe remembered.
        redaction: what was replaced, and which finders failed or refused.
    """
    others = {result.scanner: result for result in redaction.results}
    results = []
    for result in verdict.results:
        other = others.pop(result.scanner, None)
        results.append(replace(result, redacted=other.redacted) if other else result)
    order = (GuardState.CLEAN, GuardState.ERROR, GuardState.BLOCKED)
    return replace(
        verdict,
        state=max(verdict.state, redaction.state, key=order.index),
        results=(*others.values(), *results),
        unscanned=(*verdict.unscanned, *redaction.unscanned),
    )
