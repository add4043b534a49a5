"""Keys, tokens and passwords, by the detectors of detect-secrets.

The detectors are made once and called directly: their own scan functions swap process-wide
settings, write texts to temporary files, obey comments in the text and may ask the network.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ogp.guard.base import Finding, View, ViewKind, identity_of, settled_by_hold

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


DETECTORS = (
    Detector("aws", "AWSKeyDetector", ("a3t", "abia", "acca", "akia", "asia", "aws")),
    Detector("azure_storage_key", "AzureStorageKeyDetector", ("accountkey=",)),
    Detector("basic_auth", "BasicAuthDetector", ("://",)),
    Detector(
        "cloudant",
        "CloudantDetector",
        ("clou", "cl_", "cl-", "clapi", "clkey", "clp", "cltoken"),
    ),
    Detector("discord", "DiscordBotTokenDetector", (".",)),
    Detector("github_token", "GitHubTokenDetector", ("gh",)),
    Detector("gitlab_token", "GitLabTokenDetector", ("gl", "gr1348941")),
    Detector("ibm_cloud_iam", "IbmCloudIamDetector", ("key", "pwd", "pass", "token")),
    Detector("ibm_cos_hmac", "IbmCosHmacDetector", ("secret",)),
    Detector("jwt", "JwtTokenDetector", ("eyj",)),
    Detector("mailchimp", "MailchimpDetector", ("-us",)),
    Detector("npm", "NpmDetector", (":_authtoken=",), window_chars=512),
    Detector("openai", "OpenAIDetector", ("t3blbkfj",), window_chars=512),
    Detector("private_key", "PrivateKeyDetector", ("private key", "putty-user-key-file")),
    Detector("pypi_token", "PypiTokenDetector", ("pypi-",)),
    Detector("sendgrid", "SendGridDetector", ("sg.",)),
    Detector("slack", "SlackDetector", ("xox", "hooks.slack.com")),
    Detector(
        "softlayer",
        "SoftlayerDetector",
        ("softlayer", "sl_", "sl-", "slapi", "slkey", "slp", "sltoken"),
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


class SecretsScanner:
    """Refuses texts that hold a secret of a known shape. Thread-safe: detectors have no state."""

    name = "secrets"
    reads = (ViewKind.RAW, ViewKind.NORMALISED)
    hold_chars = OVERLAP_CHARS

    def __init__(self) -> None:
        """Make the detectors.

        Raises:
            ValueError: another version of detect-secrets, or a fork of it, is installed.
        """
        version = import_module("detect_secrets.__version__").VERSION
        if version != VERSION:
            raise ValueError(
                f"secrets needs detect-secrets {VERSION}, but the files of {version} are installed "
                "(llm-guard brings a fork of it): ./run_proxy.sh install puts them right"
            )
        self._detectors = tuple((detector, _made(detector)) for detector in DETECTORS)
        self._identity = identity_of(self.name, DETECTORS, OVERLAP_CHARS, version)

    def scan(self, view: View) -> Finding | None:
        """The first secret that begins in the part not yet cleared."""
        lowered = view.text.lower()
        for detector, plugin in self._detectors:
            if any(hint in lowered for hint in detector.hints) and _finds(detector, plugin, view):
                return Finding(str(plugin.secret_type))
        return None

    def settled(self, view: View) -> int:
        """All but the last characters that could begin a secret."""
        return settled_by_hold(view, self.hold_chars)

    def describe(self) -> Mapping[str, int | str]:
        """How many detectors."""
        return {"detectors": len(self._detectors)}

    def identity(self) -> str:
        """The detectors and the version of detect-secrets."""
        return self._identity


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
