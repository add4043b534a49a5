"""The scanners of llm-guard that run here: parameters, labels, and how much text each one sees."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ogp.guard import llmguard_scores as scores
from ogp.guard.llmguard_checks import Labels, Parameter, filled
from ogp.guard.model import Score

Direction = Literal["input", "output"]
BOTH: tuple[Direction, ...] = ("input", "output")
OUTPUT: tuple[Direction, ...] = ("output",)
LANGUAGES = frozenset(
    {"ARM Assembly", "AppleScript", "C", "C#", "C++", "COBOL", "Erlang", "Fortran", "Go"}
    | {"Java", "JavaScript", "Kotlin", "Lua", "Mathematica/Wolfram Language", "PHP", "Pascal"}
    | {"Perl", "PowerShell", "Python", "R", "Ruby", "Rust", "Scala", "Swift"}
    | {"Visual Basic .NET", "jq"}
)
"""What `code` can be asked for; llm-guard refuses other names."""
STANDARD = {"return_token_type_ids": False, "truncation": True}
ALL_CLASSES = {**STANDARD, "top_k": None}
"""Truncation is on as llm-guard has it, so that every call asks the tokenizer for the same; what
is longer than a model sees is refused before."""


def _threshold(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"threshold": parameters["threshold"]}


def _agreement(name: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """For scanners that ask for the least agreement where we ask for the least risk."""
    return lambda parameters: {name: 1 - parameters["threshold"]}


def _code(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    blocked, threshold = parameters["blocked"], parameters["threshold"]
    return {
        "languages": list(parameters["languages"]),
        "is_blocked": blocked,
        "threshold": threshold if blocked else 1 - threshold,
    }


@dataclass(frozen=True, slots=True)
class LLMGuardScanner:
    """One class of `llm_guard.input_scanners` or `llm_guard.output_scanners`."""

    name: str
    cls: str
    read: Callable[[Sequence[Any], Mapping[str, Any]], Score]
    """Risk and class from what `watched` gave; see `llmguard_scores`."""
    directions: tuple[Direction, ...] = BOTH
    thresholds: tuple[float, float] = (0.5, 0.5)
    """llm-guard's own defaults for prompts and answers, as least risk that counts as a hit."""
    parameters: Mapping[str, Parameter] | None = None
    arguments: Callable[[Mapping[str, Any]], Mapping[str, Any]] = _threshold
    """Of the constructor, from the parameters; the text is always matched as one (`FULL`), which
    is the default."""
    labels: Labels | None = None
    """None: the model has no classes, or there is no model."""
    watched: str = ""
    """The attribute that computes; empty for scanners without weights."""
    pipeline: Mapping[str, Any] | None = None
    max_length: int = 512
    """Tokens the model is shown at most, special ones included."""
    takes_max_length: bool = True
    """Whether its pipeline can be told."""
    compares: Literal["", "agreement", "together"] = ""
    """`agreement`: risk is what no part of the prompt agrees with; `together`: both are judged as
    one text."""
    shares: bool = False
    """The prompt and the window stand in the same room."""
    cuts: Literal["tokens", "urls", "code", "whole"] = "tokens"
    whole: bool = False
    """Says something about a complete answer only, so that a growing one waits for its end."""

    @property
    def weights(self) -> bool:
        """Whether it needs a directory of weights."""
        return bool(self.watched)


def _words(known: frozenset[str] = frozenset()) -> Parameter:
    return Parameter("words", known=known)


_TABLE = (
    LLMGuardScanner(
        "ban_topics",
        "BanTopics",
        scores.topic,
        thresholds=(0.6, 0.75),
        parameters={"topics": _words(), "multi_label": Parameter("flag", default=True)},
        arguments=lambda p: {**_threshold(p), "topics": list(p["topics"])},
        labels=Labels(prefix="entail"),
        watched="_classifier",
        pipeline=STANDARD,
    ),
    LLMGuardScanner(
        "language",
        "Language",
        scores.foreign_language,
        thresholds=(0.6, 0.7),
        parameters={"languages": _words()},
        arguments=lambda p: {**_threshold(p), "valid_languages": list(p["languages"])},
        labels=Labels(words="languages"),
        watched="_pipeline",
        pipeline=ALL_CLASSES,
    ),
    LLMGuardScanner(
        "language_same",
        "LanguageSame",
        scores.other_language,
        OUTPUT,
        (0.9, 0.9),
        labels=Labels(),
        watched="_pipeline",
        pipeline=ALL_CLASSES,
        compares="agreement",
        arguments=_agreement("threshold"),
    ),
    LLMGuardScanner(
        "code",
        "Code",
        scores.code,
        parameters={"languages": _words(LANGUAGES), "blocked": Parameter("flag", default=True)},
        arguments=_code,
        labels=Labels(words="languages"),
        watched="_pipeline",
        pipeline=ALL_CLASSES,
        cuts="code",
    ),
    LLMGuardScanner(
        "ban_code",
        "BanCode",
        scores.one_of("CODE"),
        thresholds=(0.97, 0.9),
        labels=Labels(("CODE",), 2),
        watched="_classifier",
        max_length=128,
        pipeline={"return_token_type_ids": True, "truncation": True},
    ),
    LLMGuardScanner(
        "ban_competitors",
        "BanCompetitors",
        scores.competitor,
        parameters={"competitors": _words()},
        labels=Labels(("O",)),
        arguments=lambda p: {
            **_threshold(p),
            "competitors": scores.Names(p["competitors"]),
            "redact": False,
        },
        watched="_ner_pipeline",
        pipeline={"aggregation_strategy": "simple"},
        takes_max_length=False,
    ),
    LLMGuardScanner(
        "gibberish",
        "Gibberish",
        scores.one_of("word salad", "noise", "mild gibberish"),
        thresholds=(0.97, 0.7),
        labels=Labels(("word salad", "noise", "mild gibberish"), 4),
        watched="_classifier",
        pipeline=STANDARD,
    ),
    LLMGuardScanner(
        "bias",
        "Bias",
        scores.one_of("BIASED"),
        OUTPUT,
        (0.7, 0.7),
        labels=Labels(("BIASED",), 2),
        watched="_classifier",
        pipeline=STANDARD,
        compares="together",
        shares=True,
    ),
    LLMGuardScanner(
        "no_refusal",
        "NoRefusal",
        scores.one_of("REJECTION"),
        OUTPUT,
        (0.75, 0.75),
        labels=Labels(("REJECTION",), 2),
        watched="_pipeline",
        pipeline=STANDARD,
        max_length=128,
    ),
    LLMGuardScanner(
        "no_refusal_light",
        "NoRefusalLight",
        scores.nothing,
        OUTPUT,
        cuts="whole",
        arguments=lambda _: {},
    ),
    LLMGuardScanner(
        "malicious_urls",
        "MaliciousURLs",
        scores.any_of("defacement", "phishing", "malware"),
        OUTPUT,
        labels=Labels(("defacement", "phishing", "malware")),
        watched="_classifier",
        pipeline=ALL_CLASSES,
        max_length=128,
        cuts="urls",
    ),
    LLMGuardScanner(
        "factual_consistency",
        "FactualConsistency",
        scores.entailment,
        OUTPUT,
        (0.25, 0.25),
        labels=Labels(("entailment", "not_entailment"), 2, "entailment"),
        watched="_model",
        compares="agreement",
        shares=True,
        arguments=_agreement("minimum_score"),
    ),
    LLMGuardScanner(
        "relevance",
        "Relevance",
        scores.distance,
        OUTPUT,
        watched="_encode",
        compares="agreement",
        arguments=_agreement("threshold"),
    ),
    LLMGuardScanner(
        "json",
        "JSON",
        scores.nothing,
        OUTPUT,
        parameters={"required_elements": Parameter("count", default=0)},
        cuts="whole",
        whole=True,
        arguments=lambda p: {"required_elements": p["required_elements"], "repair": False},
    ),
    LLMGuardScanner(
        "reading_time",
        "ReadingTime",
        scores.nothing,
        OUTPUT,
        parameters={"max_minutes": Parameter("minutes")},
        cuts="whole",
        arguments=lambda p: {"max_time": p["max_minutes"]},
    ),
    LLMGuardScanner(
        "prompt_injection",
        "PromptInjection",
        scores.one_of("INJECTION"),
        ("input",),
        (0.92, 0.92),
        labels=Labels(("INJECTION",), 2),
        watched="_pipeline",
        pipeline=STANDARD,
    ),
    LLMGuardScanner(
        "toxicity",
        "Toxicity",
        scores.any_of(*scores.TOXIC),
        thresholds=(0.5, 0.7),
        labels=Labels(("toxicity",)),
        watched="_pipeline",
        pipeline={**ALL_CLASSES, "function_to_apply": "sigmoid"},
    ),
)
SCANNERS: Mapping[str, LLMGuardScanner] = {scanner.name: scanner for scanner in _TABLE}
"""By the name in settings.

`prompt_injection` and `toxicity` are here to compare our own path with.
"""


def checked(
    scanner: LLMGuardScanner, direction: Direction, given: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The parameters with defaults filled in, `threshold` always among them.

    Raises:
        ValueError: names the scanner, the parameter and what would be right.
    """
    if direction not in scanner.directions:
        raise ValueError(f"{scanner.name}: scans {scanner.directions[0]} only")
    default = scanner.thresholds[BOTH.index(direction)]
    known = {"threshold": Parameter("share", default), **(scanner.parameters or {})}
    return filled(scanner.name, known, given)
