"""Keys, tokens and passwords, by the detectors of detect-secrets.

The detectors are made once and called directly: their own scan functions swap process-wide
settings, write texts to temporary files, obey comments in the text and may ask the network.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ogp.guard.base import Finding, Span, View, ViewKind, identity_of, settled_by_hold
from ogp.settings.guard_schema import RuleAction

VERSION = "1.5.0"
"""Of detect-secrets. llm-guard brings a fork of it, bc-detect-secrets, into the same directory; its
detectors answer otherwise, so that secrets would pass unseen."""
OVERLAP_CHARS = 512
"""Longest secret that is found wherever it stands; most have fewer than 100 characters."""


@dataclass(frozen=True, slots=True)
class Detector:
    """A class of `detect_secrets.plugins`, and what every secret of its kind holds."""

    module: str
    cls: str
    hints: tuple[str, ...]
    """One of these, in lower case, is in each of its matches; spares most texts the search."""
    whole: bool = False
    """A letter or digit right before it undoes the match, e.g. the number of an account."""
    window_chars: int = 2_048
    """It sees this much at a time: some take quadratic time over a long line."""
    grouped: bool = False
    """The first group of its patterns is the secret; else all that they match."""


DETECTORS = (
    Detector("aws", "AWSKeyDetector", ("a3t", "abia", "acca", "akia", "asia", "aws"), grouped=True),
    Detector("azure_storage_key", "AzureStorageKeyDetector", ("accountkey=",)),
    Detector("basic_auth", "BasicAuthDetector", ("://",), grouped=True),
    Detector(
        "cloudant",
        "CloudantDetector",
        ("clou", "cl_", "cl-", "clapi", "clkey", "clp", "cltoken"),
        grouped=True,
    ),
    Detector("discord", "DiscordBotTokenDetector", (".",)),
    Detector("github_token", "GitHubTokenDetector", ("gh",)),
    Detector("gitlab_token", "GitLabTokenDetector", ("gl", "gr1348941")),
    Detector("ibm_cloud_iam", "IbmCloudIamDetector", ("key", "pwd", "pass", "token"), grouped=True),
    Detector("ibm_cos_hmac", "IbmCosHmacDetector", ("secret",), grouped=True),
    Detector("jwt", "JwtTokenDetector", ("eyj",)),
    Detector("mailchimp", "MailchimpDetector", ("-us",)),
    Detector("npm", "NpmDetector", (":_authtoken=",), window_chars=512, grouped=True),
    Detector("openai", "OpenAIDetector", ("t3blbkfj",), window_chars=512),
    Detector("private_key", "PrivateKeyDetector", ("private key", "putty-user-key-file")),
    Detector("pypi_token", "PypiTokenDetector", ("pypi-",)),
    Detector("sendgrid", "SendGridDetector", ("sg.",)),
    Detector("slack", "SlackDetector", ("xox", "hooks.slack.com")),
    Detector(
        "softlayer",
        "SoftlayerDetector",
        ("softlayer", "sl_", "sl-", "slapi", "slkey", "slp", "sltoken"),
        grouped=True,
    ),
    Detector("square_oauth", "SquareOAuthDetector", ("sq0csp-",)),
    Detector("stripe", "StripeDetector", ("k_live_",)),
    Detector("telegram_token", "TelegramBotTokenDetector", (":",), whole=True),
    Detector("twilio", "TwilioKeyDetector", ("ac", "sk")),
)
"""Each knows the shape of one issuer's secrets.

Left out: the two high-entropy detectors, `keyword` (hits placeholders like `password = "changeme"`,
and took 20 s for one hostile line of 100,000 characters), `artifactory` (hits long words in
capitals) and `ip_public` (an address is no secret).
"""


PRIVATE_KEY, WEB_TOKEN = "private_key", "jwt"
"""Modules of the two detectors that see the beginning of their secret only."""
KEY_END = r"-{3,5} ?END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{3,5}"


class SecretsScanner:
    """Hits texts that hold a secret of a known shape. Thread-safe: detectors have no state."""

    name = "secrets"
    reads = (ViewKind.RAW, ViewKind.NORMALISED)
    hold_chars = OVERLAP_CHARS

    def __init__(self, action: RuleAction = "block") -> None:
        """Make the detectors.

        Args:
            action: what a hit does.

        Raises:
            ValueError: another version of detect-secrets, or a fork of it, is installed.
        """
        version = import_module("detect_secrets.__version__").VERSION
        if version != VERSION:
            raise ValueError(
                f"secrets needs detect-secrets {VERSION}, but the files of {version} are installed "
                "(llm-guard brings a fork of it): ./run_proxy.sh install puts them right"
            )
        self._action, self.redacts = action, action == "redact"
        self._detectors = tuple((detector, _made(detector)) for detector in DETECTORS)
        self._tail = re.compile(r"[\w\-]*", re.ASCII)
        self._web_token_tail = re.compile(r"[\w\-.+/=]*", re.ASCII)
        self._key_end = re.compile(KEY_END)
        self._identity = identity_of(self.name, DETECTORS, OVERLAP_CHARS, version, action)

    def scan(self, view: View) -> Finding | None:
        """The first secret that begins in the part not yet cleared."""
        lowered = view.text.lower()
        for detector, plugin in self._detectors:
            if any(hint in lowered for hint in detector.hints) and _finds(detector, plugin, view):
                return Finding(str(plugin.secret_type), blocks=self._action != "flag")
        return None

    def spans(self, view: View) -> Sequence[Span]:
        """Every secret, to the end of its last word.

        Of a growing text none of `OVERLAP_CHARS` characters or more, and no private key: it is
        taken out where its end is seen, too.
        """
        lowered = view.text.lower()
        spans = []
        for detector, plugin in self._detectors:
            if not any(hint in lowered for hint in detector.hints):
                continue
            label = str(plugin.secret_type).lower()
            is_key = detector.module == PRIVATE_KEY
            places = self._keys(plugin, view) if is_key else self._places(detector, plugin, view)
            spans += [Span(start, end, label) for start, end in places]
        return spans

    def settled(self, view: View) -> int:
        """All but the last characters that could begin a secret."""
        return settled_by_hold(view, self.hold_chars)

    def describe(self) -> Mapping[str, int | str]:
        """How many detectors, and what a hit does."""
        return {"detectors": len(self._detectors), "action": self._action}

    def identity(self) -> str:
        """The detectors, the version of detect-secrets, and what a hit does."""
        return self._identity

    def _places(self, detector: Detector, plugin: Any, view: View) -> Iterator[tuple[int, int]]:
        """Where secrets stand, by the patterns of the detector, as it tells no places itself."""
        text = view.text
        last = len(text) - OVERLAP_CHARS if view.open else len(text)
        tail = self._web_token_tail if detector.module == WEB_TOKEN else self._tail
        for match in _matches(detector, plugin, text):
            start, end = match.span(1 if detector.grouped and match.re.groups else 0)
            end = tail.match(text, end).end()  # type: ignore[union-attr]  # matches nothing, too
            if not view.start <= start <= last or (view.open and end - start >= OVERLAP_CHARS):
                continue
            if detector.whole and start > 0 and text[start - 1].isalnum():
                continue
            yield start, end

    def _keys(self, plugin: Any, view: View) -> Iterator[tuple[int, int]]:
        """Private keys from the first dash before their beginning to the last behind their end."""
        if view.open:
            return
        text = view.text
        ends = [match.end() for match in self._key_end.finditer(text)]
        for pattern in plugin.denylist:
            for match in pattern.finditer(text, view.start):
                place = bisect_right(ends, match.end())
                if place < len(ends):
                    before = text[max(view.start, match.start() - 5) : match.start()]
                    yield match.start() - len(before) + len(before.rstrip("-")), ends[place]


def _made(detector: Detector) -> Any:
    """The plugin object; detect-secrets is imported here and nowhere else, on first use."""
    return getattr(import_module(f"detect_secrets.plugins.{detector.module}"), detector.cls)()


def _finds(detector: Detector, plugin: Any, view: View) -> bool:
    """Whether a secret ends after `view.start` and cannot be undone by what may follow."""
    last = len(view.text) - (OVERLAP_CHARS if view.open else 0)
    for offset, window in _windows(view.text, detector.window_chars):
        for secret in plugin.analyze_string(window):
            place = window.find(secret, max(0, view.start - offset))
            while detector.whole and place > 0 and window[place - 1].isalnum():
                place = window.find(secret, place + 1)
            if place >= 0 and offset + place <= last:
                return True
    return False


def _windows(text: str, window_chars: int) -> Iterator[tuple[int, str]]:
    """The text in overlapping pieces, with where each begins.

    Lines are not cut apart: the patterns do not cross line ends, or do no harm when they do.
    """
    overlap = min(OVERLAP_CHARS, window_chars // 2)
    for offset in range(0, max(1, len(text) - overlap), window_chars - overlap):
        yield offset, text[offset : offset + window_chars]


def _matches(detector: Detector, plugin: Any, text: str) -> Iterator[re.Match[str]]:
    for offset, window in _windows(text, detector.window_chars):
        for pattern in plugin.denylist:
            for match in pattern.finditer(text, offset, offset + len(window)):
                if detector.module != WEB_TOKEN or plugin.is_formally_valid(match[0]):
                    yield match
