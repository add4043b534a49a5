"""From settings to scanners, in one fixed order: cheap ones first."""

from collections.abc import Callable, Mapping, Sequence

from ogp.guard.ban import BanSubstringsScanner
from ogp.guard.base import Scanner
from ogp.guard.injection import InjectionRulesScanner
from ogp.guard.invisible import InvisibleTextScanner
from ogp.guard.length import TokenLimitScanner
from ogp.guard.patterns import RegexScanner
from ogp.guard.secrets import SecretsScanner
from ogp.settings.guard_schema import GuardSettings, InputScannersSettings, OutputScannersSettings

INPUT_NAMES = (
    "token_limit",
    "ban_substrings",
    "regex",
    "invisible_text",
    "injection_rules",
    "secrets",
)
OUTPUT_NAMES = ("ban_substrings", "regex", "invisible_text", "secrets")


def input_scanners(settings: GuardSettings, normalise: Callable[[str], str]) -> tuple[Scanner, ...]:
    """What looks at prompts; none where the direction is off.

    Raises:
        ValueError: a phrase or a pattern cannot be used; names it and says what would be right.
    """
    if not settings.input_enabled:
        return ()
    section = settings.input_scanners
    scanners = _for_both(section, normalise)
    if section.token_limit.enabled:
        limit = section.token_limit
        scanners.append(TokenLimitScanner(limit.limit, limit.action))
    if section.injection_rules.enabled:
        scanners.append(InjectionRulesScanner(section.injection_rules.action))
    return _ordered(scanners, INPUT_NAMES)


def output_scanners(
    settings: GuardSettings, normalise: Callable[[str], str]
) -> tuple[Scanner, ...]:
    """What looks at answers; none where the direction is off. Raises as `input_scanners`."""
    if not settings.output_enabled:
        return ()
    return _ordered(_for_both(settings.output_scanners, normalise), OUTPUT_NAMES)


def describe(
    scanners: Sequence[Scanner], names: Sequence[str], direction: str
) -> Mapping[str, Mapping[str, int | str]]:
    """Every scanner of a direction for `/health`: on or off, counts, no phrases, no patterns."""
    shown: dict[str, Mapping[str, int | str]] = {
        name: {"state": "off", "direction": direction} for name in names
    }
    for scanner in scanners:
        shown[scanner.name] = {"state": "on", "direction": direction, **scanner.describe()}
    return shown


def _for_both(
    section: InputScannersSettings | OutputScannersSettings, normalise: Callable[[str], str]
) -> list[Scanner]:
    scanners: list[Scanner] = []
    ban, regex = section.ban_substrings, section.regex
    if ban.enabled and ban.substrings:
        scanners.append(BanSubstringsScanner(ban.substrings, ban.match_type, normalise, ban.action))
    if regex.enabled and regex.patterns:
        scanners.append(RegexScanner(regex.patterns, regex.action))
    if section.invisible_text.enabled:
        scanners.append(InvisibleTextScanner(section.invisible_text.action))
    if section.secrets.enabled:
        scanners.append(SecretsScanner(section.secrets.action))
    return scanners


def _ordered(scanners: Sequence[Scanner], names: Sequence[str]) -> tuple[Scanner, ...]:
    return tuple(sorted(scanners, key=lambda scanner: names.index(scanner.name)))
