"""Text that people do not see and models do: smuggled messages and reordered lines.

What writing needs passes: joiners and selectors in emoji, the three flags made of tags, joiners
between Persian or Indic letters, single marks of direction, closed embeddings, a byte order mark.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from ogp.guard.base import Finding, Span, View, ViewKind, identity_of
from ogp.settings.guard_schema import RuleAction

UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u2065"
    "\u206a-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0080-\U000e0fff"
)
EMBEDDING, EMBEDDED = "\u202a\u202b", "\u202c"
ISOLATE, ISOLATED = "\u2066-\u2068", "\u2069"
TAGS = "\U000e0000-\U000e007f"
FLAG = (
    "\U0001f3f4\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067"
    "|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)\U000e007f"
)
"""England, Scotland, Wales: the tag sequences recommended for interchange."""
SELECTORS = "\U000e0100-\U000e01ef"
IDEOGRAPHS = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
PRIVATE = "\ue000-\uf8ff\U000f0000-\U0010ffff"
LETTERS = "A-Za-z\u00c0-\u024f\u0370-\u052f"

LINE_CHARS = 100
"""How far, in characters of its line, an embedding or isolate may reach."""
DIRECTION_CHARS = 2 * LINE_CHARS + 8
"""An isolate, what it holds, and one more isolate within."""
NEAR_CHARS = 16
"""Longest of the other rules."""

RULES = (  # (reason, characters it must see from its first one on, pattern)
    ("tag characters", NEAR_CHARS, rf"(?P<passes>{FLAG})|[{TAGS}]"),
    ("run of invisible characters", NEAR_CHARS, rf"[{UNSEEN}]{{4}}"),
    (
        "invisible characters between letters",
        NEAR_CHARS,
        rf"(?<=[{LETTERS}])[{UNSEEN}]{{1,3}}(?:[{LETTERS}][{UNSEEN}]{{1,3}}){{2}}(?=[{LETTERS}])",
    ),
    ("variation selectors", NEAR_CHARS, rf"(?<![{IDEOGRAPHS}])[{SELECTORS}]"),
    ("private use characters", NEAR_CHARS, rf"[{PRIVATE}]"),
    ("bidirectional override", NEAR_CHARS, "[\u202d\u202e]"),
    (
        "open bidirectional embedding",
        DIRECTION_CHARS,
        rf"[{EMBEDDING}](?![^\n\u202a-\u202e]{{0,{LINE_CHARS}}}{EMBEDDED})",
    ),
    (
        "open bidirectional isolate",
        DIRECTION_CHARS,
        rf"[{ISOLATE}](?![^\n\u2066-\u2069]{{0,{LINE_CHARS}}}"
        rf"(?:[{ISOLATE}][^\n\u2066-\u2069]{{0,{LINE_CHARS // 2}}}{ISOLATED}"
        rf"[^\n\u2066-\u2069]{{0,{LINE_CHARS // 2}}})?{ISOLATED})",
    ),
)


class InvisibleTextScanner:
    """Hits tag characters, runs of unseen ones, overrides of direction, private use."""

    name = "invisible_text"
    reads = (ViewKind.RAW,)
    hold_chars = DIRECTION_CHARS

    def __init__(self, action: RuleAction = "block") -> None:
        self._action, self.redacts = action, action == "redact"
        self._identity = identity_of(self.name, RULES, action)
        self._rules = tuple((reason, reach, re.compile(rule)) for reason, reach, rule in RULES)
        self._direction = re.compile(rf"[\u202a-\u202e{ISOLATE}]")
        self._near = re.compile(rf"[\U0001f3f4{TAGS}{UNSEEN}{PRIVATE}]")
        self._cut_flag = re.compile(rf"\U0001f3f4[{TAGS}]{{1,6}}\Z")
        self._letters = re.compile(rf"[{LETTERS}]+")

    def scan(self, view: View) -> Finding | None:
        """The first rule hit; near an open end a rule waits until it has seen enough."""
        for reason, _ in self._hits(view):
            return Finding(reason, blocks=self._action != "flag")
        return None

    def spans(self, view: View) -> Sequence[Span]:
        """The unseen characters of every hit; letters between them stay."""
        spans = []
        for _, match in self._hits(view):
            start = match.start()
            for letters in self._letters.finditer(view.text, *match.span()):
                spans.append(Span(start, letters.start(), ""))
                start = letters.end()
            spans.append(Span(start, match.end(), ""))
        return spans

    def settled(self, view: View) -> int:
        """All before the first character that a rule could still turn against."""
        length = len(view.text)
        if not view.open or view.text.isascii():
            return length
        direction = self._direction.search(view.text, max(view.start, length - DIRECTION_CHARS))
        near = self._near.search(view.text, max(view.start, length - NEAR_CHARS))
        if near and (flag := self._cut_flag.search(view.text, view.start, near.end())):
            near = flag  # a tag is judged with the flag it belongs to
        return min(match.start() if match else length for match in (direction, near))

    def describe(self) -> Mapping[str, int | str]:
        """How many rules there are, and what a hit does."""
        return {"rules": len(self._rules), "action": self._action}

    def identity(self) -> str:
        """The rules, and what a hit does."""
        return self._identity

    def _hits(self, view: View) -> Iterator[tuple[str, re.Match[str]]]:
        """Every hit, rule by rule; near an open end a rule waits until it has seen enough."""
        text = view.text
        if text.isascii() or not (
            self._near.search(text, view.start) or self._direction.search(text, view.start)
        ):
            return
        for reason, reach, pattern in self._rules:
            last = len(text) - (reach if view.open else 0)
            match = pattern.search(text, view.start)
            while match and match.start() <= last:
                if match.lastgroup is None:
                    yield reason, match
                    match = pattern.search(text, match.start() + 1)
                else:
                    match = pattern.search(text, match.end())
