"""The sections `guard:` of config.yaml: scanners and models."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ogp.settings.custom_scanner import checked_import, checked_name, checked_parameters
from ogp.settings.section import YEAR_S, AtLeastOne, Positive, Section, Words

Action = Literal["block", "flag"]
RuleAction = Literal["block", "flag", "redact"]


class BanSubstringsSettings(Section):
    """Literal phrases, case-insensitive, over the raw and the normalised text."""

    enabled: bool = True
    """Has no effect while `substrings` is empty."""
    substrings: Words = ()
    """The phrases, each at most 200 characters."""
    match_type: Literal["str", "word"] = "str"
    """`word` asks for a word boundary at both ends."""
    action: RuleAction = "block"
    """`flag` records a hit and lets it pass, `redact` takes it out and lets the rest pass."""


class RegexPattern(Section):
    """One operator pattern."""

    name: str
    """What a refusal calls it."""
    pattern: str
    """Python `re` syntax, case-insensitive, checked at load for catastrophic forms."""
    max_length: Annotated[int, Field(ge=1, le=1000)] = 200
    """Longest possible match in characters; streams hold back that much."""


class RegexSettings(Section):
    """Operator patterns."""

    enabled: bool = True
    """Has no effect while `patterns` is empty."""
    patterns: tuple[RegexPattern, ...] = ()
    """The patterns."""
    action: RuleAction = "block"
    """`flag` records a hit and lets it pass, `redact` takes it out and lets the rest pass."""


class SecretsSettings(Section):
    """Keys, tokens and passwords, by the detectors of detect-secrets."""

    enabled: bool = True
    """Whether it scans."""
    action: RuleAction = "block"
    """`flag` records a hit and lets it pass, `redact` takes it out and lets the rest pass."""


class InvisibleTextSettings(Section):
    """Tag characters, zero-width runs, bidirectional overrides, private use characters."""

    enabled: bool = True
    """Whether it scans."""
    action: RuleAction = "block"
    """`flag` records a hit and lets it pass, `redact` takes it out and lets the rest pass."""


class InjectionRulesSettings(Section):
    """Rules against override and prompt-extraction attempts; English; most attacks pass them."""

    enabled: bool = True
    """Whether it scans."""
    action: Action = "block"
    """`flag` lets the text pass and records the hit."""


class TokenLimitSettings(Section):
    """Refuses prompts of more than `limit` tokens, estimated as one token per 4 characters."""

    enabled: bool = False
    """Whether it scans."""
    limit: AtLeastOne = 4000
    """Most tokens."""
    action: Action = "block"
    """`flag` lets the text pass and records the hit."""


class AnonymizeSettings(Section):
    """Personal data: the model gets placeholders, the client its own words back."""

    enabled: bool | Literal["auto", "optional"] = False
    """`true` is degraded without the package presidio-analyzer (requests are refused while
    `block_on_error` holds), `optional` is degraded but lets requests pass, `auto` is off then."""
    entities: Words = ()
    """What is replaced, e.g. EMAIL_ADDRESS, IBAN_CODE; empty: all that docs/guard.md lists."""
    languages: Words = ("en",)
    """Of the words that tell what a number is, and of telephone numbers without country code."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.4
    """Least score of a recogniser that counts, between 0 and 1."""
    names: Literal["auto"] | bool = "auto"
    """Names and places too, by a model: `auto` if its weights are there."""
    path: Path | None = None
    """Directory of the model's weights; null takes `anonymize` below `guard.models.path`."""
    restore: bool = True
    """Put the words back into the answer; false leaves the placeholders."""


class ModelScannerSettings(Section):
    """A scanner that asks a model."""

    enabled: bool | Literal["auto", "optional"] = "auto"
    """`auto` scans if the weights are there, `true` is degraded without them (requests are refused
    while `block_on_error` holds), `optional` is degraded but lets requests pass."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Least score that counts as a hit, between 0 and 1."""
    action: Action = "block"
    """`flag` lets the text pass and records the hit."""
    path: Path | None = None
    """Directory of the weights; null takes the scanner's own below `guard.models.path`."""


class LLMGuardSettings(Section):
    """One scanner of llm-guard, an entry of `guard.llm_guard`; docs/models.md lists them."""

    scanner: str
    """Its name, e.g. `ban_topics`."""
    direction: Literal["input", "output"]
    """What it looks at."""
    name: str = ""
    """What a refusal calls it; empty takes the scanner's name."""
    enabled: bool | Literal["auto", "optional"] = True
    """As of other model scanners."""
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Least score that counts as a hit; null takes llm-guard's own."""
    action: Action = "block"
    """`flag` lets the text pass and records the hit."""
    path: Path | None = None
    """Directory of the weights; null takes the scanner's own below `guard.models.path`."""
    topics: Words = ()
    """Of ban_topics."""
    multi_label: bool | None = None
    """Of ban_topics."""
    languages: Words = ()
    """Of language and code."""
    blocked: bool | None = None
    """Of code."""
    competitors: Words = ()
    """Of ban_competitors."""
    required_elements: Annotated[int, Field(ge=0)] | None = None
    """Of json."""
    max_minutes: Positive | None = None
    """Of reading_time."""


class CodeSettings(ModelScannerSettings):
    """Programming languages in code blocks, by llm-guard."""

    languages: Words = ()
    """The languages, e.g. Python; needed when it is on."""
    blocked: bool = True
    """True refuses these languages, false all others."""


class CustomScannerSettings(Section):
    """A scanner of yours, an entry of `guard.custom`; docs/guard.md tells what it must have."""

    name: Annotated[str, AfterValidator(checked_name)]
    """What a refusal calls it."""
    import_path: Annotated[str, Field(alias="import"), AfterValidator(checked_import)]
    """Where it is, as `package.module:Class`; the package must be installed."""
    direction: Literal["input", "output"]
    """What it looks at."""
    enabled: bool | Literal["optional"] = True
    """`optional` is degraded, but lets requests pass, if it cannot be made."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Least score that counts as a hit, between 0 and 1."""
    action: Action = "block"
    """`flag` lets the text pass and records the hit."""
    parameters: Annotated[Words, AfterValidator(checked_parameters)] = ()
    """What its constructor gets, as `name=value`; a value is read as YAML."""


class OverrideSettings(Section):
    """What is different for some callers, an entry of `guard.overrides`; later entries win."""

    scanner: str
    """The scanner's name."""
    direction: Literal["input", "output", "both"] = "both"
    """Where."""
    users: Words = ()
    """Names of users it holds for."""
    roles: Words = ()
    """Roles it holds for: user, admin."""
    action: Literal["block", "flag", "off"] | None = None
    """`flag` records a hit and lets it pass, `off` does not ask the scanner; null: unchanged."""
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None
    """Least score of a model scanner that counts as a hit; null: unchanged."""


class ModelsSettings(Section):
    """Where models lie and how they run (`guard.models:`)."""

    path: Path = Path("models")
    """One directory per scanner; only local files are read."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where models run; `auto` takes mps, then cuda, then cpu. A device that is absent: cpu."""
    threads: Literal["auto"] | Annotated[int, Field(ge=1, le=64)] = "auto"
    """Windows scored at once; `auto`: one per core and worker. Set 1 on a GPU."""
    timeout_s: Positive = 30.0
    """Longest time for all models of one text, the wait for a thread included, in seconds."""
    max_pending: Annotated[int, Field(ge=1, le=100_000)] = 2048
    """Windows that may wait for a thread; a text that does not fit any more gets 503."""
    batch: Literal["auto"] | Annotated[int, Field(ge=1, le=256)] = "auto"
    """Windows of similar length scored in one pass; `auto`: 16 on a GPU, 1 on a CPU."""
    max_windows: Annotated[int, Field(ge=1, le=10_000)] = 512
    """Windows of one text; a longer one gets 413, nothing is ever cut off."""


class InputScannersSettings(Section):
    """What looks at prompts (`guard.input_scanners:`)."""

    ban_substrings: BanSubstringsSettings = BanSubstringsSettings()
    regex: RegexSettings = RegexSettings()
    secrets: SecretsSettings = SecretsSettings()
    invisible_text: InvisibleTextSettings = InvisibleTextSettings()
    injection_rules: InjectionRulesSettings = InjectionRulesSettings()
    token_limit: TokenLimitSettings = TokenLimitSettings()
    prompt_injection: ModelScannerSettings = ModelScannerSettings(threshold=0.92)
    toxicity: ModelScannerSettings = ModelScannerSettings()
    code: CodeSettings = CodeSettings(enabled=False)
    anonymize: AnonymizeSettings = AnonymizeSettings()


class OutputScannersSettings(Section):
    """What looks at answers (`guard.output_scanners:`)."""

    ban_substrings: BanSubstringsSettings = BanSubstringsSettings()
    regex: RegexSettings = RegexSettings()
    secrets: SecretsSettings = SecretsSettings(enabled=False)
    invisible_text: InvisibleTextSettings = InvisibleTextSettings()
    toxicity: ModelScannerSettings = ModelScannerSettings()
    code: CodeSettings = CodeSettings(enabled=False)
    malicious_urls: ModelScannerSettings = ModelScannerSettings(enabled=False)
    no_refusal: ModelScannerSettings = ModelScannerSettings(enabled=False)


class GuardSettings(Section):
    """Scanners for both directions (`guard:`)."""

    input_enabled: bool = True
    """Whether prompts are scanned."""
    output_enabled: bool = True
    """Whether answers are scanned."""
    block_on_error: bool = True
    """A scanner that fails refuses the request (503) rather than letting it pass unscanned."""
    output_window_chars: AtLeastOne = 200
    """Most characters of a streamed answer that are gathered before they are scanned."""
    canary_interval_s: Annotated[float, Field(ge=0, le=YEAR_S)] = 600.0
    """Seconds between two rounds of known bad and good samples through the guard; 0: at start."""
    models: ModelsSettings = ModelsSettings()
    llm_guard: tuple[LLMGuardSettings, ...] = ()
    """Further scanners, by llm-guard on local weights."""
    custom: tuple[CustomScannerSettings, ...] = ()
    """Scanners of yours."""
    overrides: tuple[OverrideSettings, ...] = ()
    """What is different for some users or roles."""
    input_scanners: InputScannersSettings = InputScannersSettings()
    output_scanners: OutputScannersSettings = OutputScannersSettings()
