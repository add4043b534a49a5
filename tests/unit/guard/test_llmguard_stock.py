"""Our scores against the verdicts of llm-guard called as its documentation shows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ogp.guard.llmguard import load_llmguard
from ogp.guard.llmguard_scanners import SCANNERS, checked
from tests.support.phrase_model import score_of
from tests.support.tiny_llmguard import CPU, GIBBERISH, LANGUAGES, NLI, TOXIC, URLS
from tests.support.tiny_models import WORDS, write_classifier

ROUNDED = 0.005
"""Some of llm-guard's scanners round the score before they compare it."""
PROMPT = "hello world"
TEXTS = [f"{first} {second} {PROMPT}" for first in WORDS[:12] for second in WORDS[-5:]]
STOCK: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "ban_topics": (NLI, {"topics": ["war", "love"], "multi_label": False}),
    "language": (LANGUAGES, {"languages": ["en"]}),
    "language_same": (LANGUAGES, {}),
    "gibberish": (GIBBERISH, {}),
    "bias": (("BIASED", "NEUTRAL"), {}),
    "no_refusal": (("NORMAL", "REJECTION"), {}),
    "ban_code": (("CODE", "NL"), {}),
    "factual_consistency": (NLI, {}),
    "toxicity": (TOXIC, {}),
    "malicious_urls": (URLS, {}),
}


def stock(name: str, directory: Path, parameters: dict[str, Any]) -> Callable[[str], bool]:
    """Whether llm-guard's own object, made without our parts, lets a text pass."""
    from llm_guard import output_scanners
    from llm_guard.model import Model

    spec = SCANNERS[name]
    settings = {**(spec.pipeline or {}), "max_length": spec.max_length}
    given = spec.arguments(checked(spec, "output", parameters))
    scanner = getattr(output_scanners, spec.cls)(
        model=Model(path=str(directory), pipeline_kwargs=settings), **given
    )
    return lambda text: bool(scanner.scan(PROMPT, text)[1])


@pytest.mark.parametrize("name", STOCK)
def test_scores_agree_with_the_verdicts_of_llm_guard(name: str, tmp_path: Path) -> None:
    labels, parameters = STOCK[name]
    directory = write_classifier(tmp_path / name, labels=labels, seed=3)
    prefix = "http://" if name == "malicious_urls" else ""
    texts = [prefix + text for text in TEXTS]
    ours = load_llmguard(name, "output", parameters, directory, CPU)
    middle = sorted(score_of(ours, text, PROMPT).value for text in texts)[len(texts) // 2]
    parameters = {**parameters, "threshold": min(0.99, max(0.01, middle))}
    ours = load_llmguard(name, "output", parameters, directory, CPU)
    passes = stock(name, directory, parameters)
    wrong = []
    for text in texts:
        score = score_of(ours, text, PROMPT).value
        if passes(text) if score >= middle + ROUNDED else score < middle and not passes(text):
            wrong.append((score, text))
    assert wrong == []
