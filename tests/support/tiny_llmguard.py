"""Tiny models in the shapes that llm-guard's scanners read, each with a word that it listens for.

A text that holds the word gets one verdict, any other text the other; see `tiny_models`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ogp.guard.device import Device
from ogp.guard.llmguard import load_llmguard
from ogp.guard.model import Model
from tests.support.tiny_models import write_classifier

CPU = Device("cpu", "for a test", "fp32")
NLI = ("entailment", "not_entailment")
LANGUAGES = ("en", "de", "fr")
URLS = ("benign", "defacement", "malware", "phishing")
GIBBERISH = ("clean", "mild gibberish", "noise", "word salad")
TOXIC = ("female", "toxicity", "severe_toxicity", "obscene", "threat", "insult")


@dataclass(frozen=True, slots=True)
class Case:
    """A scanner with a text that it must hit and one that it must pass."""

    name: str
    labels: tuple[str, ...] = ()
    """Of its classifier, if it reads one."""
    verdict: str = ""
    """Of texts with the word."""
    word: str = "stupid"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    direction: Literal["input", "output"] = "output"
    hit: str = "a stupid world"
    clean: str = "a nice world"
    prompt: str = "hello world"
    write: Callable[[Path], Path] | None = None

    @property
    def needs_weights(self) -> bool:
        """Whether it asks a model."""
        return bool(self.labels or self.write)

    def load(self, root: Path) -> Model:
        """Through the real loading code."""
        directory = self.weights(root) if self.needs_weights else None
        return load_llmguard(self.name, self.direction, self.parameters, directory, CPU)

    def weights(self, root: Path) -> Path:
        """Written once below `root`."""
        directory = root / f"{self.name}-{self.direction}"
        if directory.exists():
            return directory
        if self.write is not None:
            return self.write(directory)
        return write_classifier(
            directory, labels=self.labels, verdict=self.verdict, trigger=self.word
        )


def write_tagger(directory: Path, word: str = "Acme") -> Path:
    """A model for names: `word` is an organisation."""
    from transformers import BertForTokenClassification

    write_classifier(directory, labels=("O", "B-ORG"), verdict="B-ORG", trigger=word)
    model = BertForTokenClassification.from_pretrained(directory)
    model.save_pretrained(directory, safe_serialization=True)
    return directory


def write_encoder(directory: Path, word: str = "weather") -> Path:
    """A model for embeddings: texts with `word` point elsewhere than those without."""
    from transformers import BertModel

    write_classifier(directory, labels=("no", "yes"), verdict="yes", trigger=word)
    BertModel.from_pretrained(directory).save_pretrained(directory, safe_serialization=True)
    return directory


CASES = (
    Case("ban_topics", NLI, "entailment", parameters={"topics": ["insults", "war"]}),
    Case("ban_topics", NLI, "entailment", parameters={"topics": ["war"]}, direction="input"),
    Case("language", LANGUAGES, "de", parameters={"languages": ["en", "fr"]}),
    Case("language", LANGUAGES, "de", parameters={"languages": ["en"]}, direction="input"),
    Case("language_same", LANGUAGES, "de"),
    Case("code", ("Go", "Python"), "Python", parameters={"languages": ["Python"]}),
    Case(
        "code",
        ("Go", "Python"),
        "Python",
        parameters={"languages": ["Go"], "blocked": False},
        direction="input",
    ),
    Case("ban_code", ("CODE", "NL"), "CODE"),
    Case("ban_code", ("CODE", "NL"), "CODE", direction="input"),
    Case(
        "ban_competitors",
        parameters={"competitors": ["ACME"]},
        hit="hello Acme world",
        write=write_tagger,
    ),
    Case("gibberish", GIBBERISH, "noise"),
    Case("gibberish", GIBBERISH, "word salad", direction="input"),
    Case("bias", ("BIASED", "NEUTRAL"), "BIASED"),
    Case("no_refusal", ("NORMAL", "REJECTION"), "REJECTION"),
    Case("no_refusal_light", hit="I'm sorry, I cannot do that", clean="Here it is"),
    Case(
        "malicious_urls",
        URLS,
        "phishing",
        hit="see http://stupid.com/you or not",
        clean="see http://world.com/you or not",
    ),
    Case("factual_consistency", NLI, "not_entailment"),
    Case(
        "relevance",
        hit="nice weather today",
        write=write_encoder,
        parameters={"threshold": 0.2},
    ),
    Case("json", hit='{"a": 1,}', clean='so {"a": 1}'),
    Case(
        "reading_time",
        parameters={"max_minutes": 0.1},
        hit="word " * 30,
        clean="word " * 10,
    ),
    Case("prompt_injection", ("SAFE", "INJECTION"), "INJECTION", direction="input"),
    Case("toxicity", TOXIC, "threat"),
    Case("toxicity", TOXIC, "insult", direction="input"),
)
"""Every scanner of the table; those for both directions twice."""
