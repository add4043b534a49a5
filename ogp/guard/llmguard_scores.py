"""Risk between 0 and 1 from what the models of llm-guard's scanners gave.

llm-guard itself tells a rounded distance from the threshold. Here is the number behind it, by the
same arithmetic but unrounded, so that thresholds can be compared afterwards.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import exp, isfinite
from typing import Any

from ogp.guard.model import Score

TOXIC = (
    "toxicity",
    "severe_toxicity",
    "obscene",
    "threat",
    "insult",
    "identity_attack",
    "sexual_explicit",
)
CLEAR = Score(0.0)
Read = Callable[[Sequence[Any], Mapping[str, Any]], Score]
"""From the results of one scan, in order, and the parameters."""


class Names(tuple[str, ...]):
    """Names that are found in any case and spacing: tokenizers change both."""

    __slots__ = ()

    def __contains__(self, word: object) -> bool:
        return any(_bare(name) == _bare(str(word)) for name in self)


def one_of(*risky: str) -> Read:
    """The most likely class counts: its probability, or the rest to 1 if it is harmless."""

    def read(results: Sequence[Any], _: Mapping[str, Any]) -> Score:
        tops = [Score(_number(top["score"]), str(top["label"])) for text in results for top in text]
        return _highest(
            top if top.label in risky else Score(1 - top.value, top.label) for top in tops
        )

    return read


def any_of(*risky: str) -> Read:
    """The most likely of the risky classes."""

    def read(results: Sequence[Any], _: Mapping[str, Any]) -> Score:
        return _highest(item for item in _classes(results) if item.label in risky)

    return read


def foreign_language(results: Sequence[Any], parameters: Mapping[str, Any]) -> Score:
    """The most likely language that is not among the allowed ones."""
    allowed = parameters["languages"]
    return _highest(item for item in _classes(results) if item.label not in allowed)


def code(results: Sequence[Any], parameters: Mapping[str, Any]) -> Score:
    """The most likely blocked language; or how unlikely all allowed ones are."""
    named = _highest(item for item in _classes(results) if item.label in parameters["languages"])
    return named if parameters["blocked"] else Score(1 - named.value, named.label)


def other_language(results: Sequence[Any], _: Mapping[str, Any]) -> Score:
    """How far no language is likely for both prompt and answer."""
    prompt, answer = (
        {item.label: item.value for item in _classes([[part]])} for part in results[0]
    )
    return Score(1 - max(min(prompt[label], answer[label]) for label in prompt))


def topic(results: Sequence[Any], _: Mapping[str, Any]) -> Score:
    """The most likely topic."""
    return _highest(
        Score(_number(score), label)
        for result in results
        for label, score in zip(result["labels"], result["scores"], strict=True)
    )


def competitor(results: Sequence[Any], parameters: Mapping[str, Any]) -> Score:
    """The most certain name that is on the list."""
    names = Names(parameters["competitors"])
    return _highest(
        Score(_number(entity["score"]), str(entity["entity_group"]))
        for entities in results
        for entity in entities
        if entity["word"] in names
    )


def entailment(results: Sequence[Any], _: Mapping[str, Any]) -> Score:
    """How unlikely it is that the prompt follows from the answer; class 0 is `entailment`."""
    yes, no = (_number(logit) for logit in results[0]["logits"][0].tolist())
    risk = 1 / (1 + exp(min(yes - no, 700.0)))
    return Score(risk, "not_entailment" if risk > 0.5 else "entailment")


def distance(results: Sequence[Any], _: Mapping[str, Any]) -> Score:
    """1 - cosine of prompt and answer, at most 1."""
    prompt, answer = results
    return Score(_bounded(1 - _number(prompt.dot(answer))))


def nothing(_results: Sequence[Any], _: Mapping[str, Any]) -> Score:
    """For scanners without a model: only llm-guard's verdict counts."""
    return CLEAR


def _classes(results: Sequence[Any]) -> Iterable[Score]:
    """Every class of every text."""
    for result in results:
        for text in result:
            for item in text:
                yield Score(_number(item["score"]), str(item["label"]))


def _highest(found: Iterable[Score]) -> Score:
    best = max(found, key=lambda item: item.value, default=CLEAR)
    return Score(_bounded(best.value), best.label)


def _number(value: Any) -> float:
    """Broken weights give NaN, which would be below every threshold."""
    number = float(value)
    if not isfinite(number):
        raise ValueError("the model gave no number")
    return number


def _bounded(value: float) -> float:
    return min(1.0, max(0.0, value))


def _bare(name: str) -> str:
    return "".join(name.split()).casefold()
