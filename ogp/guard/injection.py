"""Seven rules against attempts to override instructions or to extract a prompt. English only.

Gaps are bounded and every rule begins with a word of a short list: the time is linear in the text.
"""

import re
from collections.abc import Mapping
from typing import Literal

from ogp.guard.base import Finding, View, ViewKind, identity_of, settled_by_hold

SPACE = r"[\s,:;'\"()*-]{1,4}"
LONGEST_CHARS = 200
"""No rule reaches further."""


def few_words(most: int) -> str:
    """A gap of at most so many words."""
    return rf"(?:{SPACE}[^\W_]{{1,20}}){{0,{most}}}{SPACE}"


OVERRIDE = (
    r"\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget|overrid(?:e|ing)|overrule|bypass|dismiss"
    r"|set aside|never mind|do not follow|don't follow|stop following|pay no attention to)"
)
EARLIER = (
    r"(?:previous(?:ly)?|prior|preceding|above|earlier|foregoing|initial|original|existing|past"
    r"|former|system)"
)
INSTRUCTIONS = (
    r"(?:instructions?|prompts?|directives?|directions|guidelines|commands?|orders|rules"
    r"|programming|training)"
)
REVEAL = (
    r"\b(?:reveal|show|print|repeat|output|display|disclose|leak|expose|dump|reproduce|recite"
    r"|tell me|give me|write out|spell out|type out)"
)

RULES = (  # (name, one of these is in every match in lower case, pattern)
    (
        "override",
        ("instruction", "prompt", "directi", "guideline", "command", "order", "rule", "ing"),
        rf"{OVERRIDE}{few_words(2)}(?:{EARLIER}{few_words(2)}{INSTRUCTIONS}"
        rf"|(?:all|your|any){few_words(1)}(?:instructions|directives|guidelines|programming))\b",
    ),
    (
        "system prompt",
        ("prompt", "instruction", "message"),
        r"\byour (?:(?:full|entire|exact|complete) )?(?:system|initial|original|hidden|secret)"
        r" (?:prompt|instructions?|message)\b|\bwhat (?:is|are|was|were) your instructions\b",
    ),
    (
        "do anything now",
        ("do anything now", "dan"),
        r"\bdo anything now\b|\b(?-i:DAN) mode\b"
        r"|\b(?:you are|act as|as|called|named|be) (?-i:DAN)\b",
    ),
    (
        "unlocked mode",
        (" mode",),
        r"\b(?:developer|jailbreak|god|unrestricted|opposite) mode"
        r" (?:enabled|output|activated|engaged)\b|\bjailbr(?:eak|oken) mode\b",
    ),
    (
        "reveal",
        ("prompt", "instruction", "secret", "password", "passphrase", "access code"),
        rf"{REVEAL}{few_words(4)}(?:(?:your|these|previous|prior|above|system|initial|hidden)"
        rf"{SPACE}(?:system{SPACE})?(?:prompt|instructions)|the{SPACE}secret{SPACE}"
        rf"(?:password|passphrase|key|code|word))\b"
        rf"|\b(?:tell|give) me the (?:password|passphrase|access code)\b",
    ),
    (
        "without restrictions",
        ("without ",),
        rf"\b(?:respond|answer|repl(?:y|ies)|act|speak|talk|operate|behave|assist|do|say|generate|comply|AI|model|assistant"
        rf"|chatbot|bot|anything|everything){few_words(4)}without (?:any )?"
        r"(?:(?:ethical|moral|safety|content) )?"
        r"(?:restrictions|limitations|filters|censorship|guardrails)\b"
        r"|\bwithout any (?:(?:ethical|moral|content) )?"
        r"(?:censorship|guardrails)\b",
    ),
    (
        "chat template",
        ("<|", "inst]", "sys>>"),
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|start_header_id|eot_id)\|>"
        r"|(?-i:\[/?INST\]|<</?SYS>>)",
    ),
)
"""Prompts that name `the system prompt` without asking for it pass, as developers talk about it."""


class InjectionRulesScanner:
    """Hits texts that try to override instructions; blocks or only flags them."""

    name = "injection_rules"
    reads = (ViewKind.NORMALISED,)
    hold_chars = LONGEST_CHARS

    def __init__(self, action: Literal["block", "flag"]) -> None:
        self._action = action
        self._identity = identity_of(self.name, RULES, action)
        self._rules = tuple(
            (name, hints, re.compile(rule, re.IGNORECASE)) for name, hints, rule in RULES
        )

    def scan(self, view: View) -> Finding | None:
        """The first rule hit."""
        lowered = view.text.lower()
        for name, hints, pattern in self._rules:
            if any(hint in lowered for hint in hints) and pattern.search(view.text, view.start):
                return Finding(f"rule {name}", blocks=self._action == "block")
        return None

    def settled(self, view: View) -> int:
        """All but the last characters that could begin a hit."""
        return settled_by_hold(view, self.hold_chars)

    def describe(self) -> Mapping[str, int | str]:
        """How many rules, and what a hit does."""
        return {"rules": len(self._rules), "action": self._action}

    def identity(self) -> str:
        """The rules, and what a hit does."""
        return self._identity
