"""Names and places, by a token classifier on local weights; each part of a text is seen whole."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite
from pathlib import Path
from typing import Any, Protocol

from ogp.guard.classifier import best_form, is_installed, load_tokenizer
from ogp.guard.device import Device, DeviceName, Precision
from ogp.guard.model import ModelUnavailableError
from ogp.guard.offline import go_offline
from ogp.guard.personal_data import NAME_ENTITIES, Found
from ogp.guard.personal_data_spans import is_inside_word
from ogp.guard.token_classifier_runtime import OnnxTokenRuntime, TorchTokenRuntime
from ogp.guard.weights import (
    SAFETENSORS,
    TOKENIZER,
    ModelConfig,
    check_weights,
    model_hash,
    read_config,
)

PART_CHARS, OVERLAP_CHARS = 800, 120
"""Of a text at once, about 200 tokens: attention grows with the square of them."""
WARM_UP = "The weather was fine."
MIN_CHARS = 2
"""A name of one letter is none."""

_PERSON = "per person name firstname lastname middlename givenname surname patient staff hcw doctor"
_LOCATION = (
    "loc location gpe city state county country street address streetaddress secondaryaddress "
    "buildingnumber zipcode zip postcode"
)
_ORGANIZATION = "org organization organisation company companyname hospital hosp"
MEANINGS: Mapping[str, str] = {
    word: entity
    for entity, words in zip(NAME_ENTITIES, (_PERSON, _LOCATION, _ORGANIZATION), strict=True)
    for word in words.split()
}
"""Classes of public models, in small letters, without separators and the letters of BIO schemes."""
SCHEME = re.compile(r"^[BIESLU][-_](?=.)")
BETWEEN = re.compile(r"[\s.'’-]{1,3}")
"""What may stand between two words of one name."""
WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for."""

    entities: tuple[str, ...]
    """Of `personal_data.NAME_ENTITIES`."""
    threshold: float
    """Least chance that counts."""


class TokenRuntime(Protocol):
    """Computes a token classifier's raw outputs, in the calling thread. Thread-safe."""

    device: DeviceName
    precision: Precision

    def token_logits(self, encoding: Any) -> Sequence[Sequence[float]]:
        """For each token one number for each class."""
        ...


class TokenClassifier:
    """A loaded model that tells names from other words. Thread-safe."""

    def __init__(
        self,
        config: ModelConfig,
        tokenizer: Any,
        runtime: TokenRuntime,
        model_hash: str,
        wanted: Wanted,
    ) -> None:
        """Take a `tokenizers.Tokenizer` for itself.

        Raises:
            ModelUnavailableError: no class of the model means one of the entities, or it sees too
                few tokens.
        """
        meanings = [meaning_of(label) for label in config.labels]
        self._meanings = [meaning if meaning in wanted.entities else "" for meaning in meanings]
        if not any(self._meanings):
            shown = ", ".join(config.labels[:10])
            raise ModelUnavailableError(
                f"no class of id2label means {' or '.join(wanted.entities)}; its classes: {shown}"
            )
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._config, self._tokenizer, self._runtime = config, tokenizer, runtime
        self._hash, self._threshold = model_hash, wanted.threshold
        if config.max_tokens <= tokenizer.num_special_tokens_to_add(False):
            raise ModelUnavailableError(f"the model sees only {config.max_tokens} tokens")

    def find(self, text: str, start: int, end: int) -> list[Found]:
        """Names that lie between two positions, of whole words; the model sees every character.

        Raises:
            ArithmeticError: the model gave no finite number, as half precision can.
            ValueError: one character has more tokens than the model sees.
        """
        encoding = self._tokenizer.encode(text[start:end])
        if len(encoding) > self._config.max_tokens:
            if end - start < MIN_CHARS:
                raise ValueError("one character of more tokens than the model sees")
            middle = start + (end - start) // 2
            margin = min(OVERLAP_CHARS, (end - start) // 4)
            return [
                *self.find(text, start, min(end, middle + margin)),
                *self.find(text, max(start + 1, middle - margin), end),
            ]
        tagged = self._tagged(encoding, text, start, end)
        return list(merged_names(tagged, text))

    def warm_up(self) -> None:
        """Judge one sentence, so that the first request need not wait for what is set up late.

        Raises:
            ModelUnavailableError: that failed, or the outputs do not fit the classes.
        """
        try:
            encoding = self._tokenizer.encode(WARM_UP)
            rows = self._runtime.token_logits(encoding)
            shape = (len(rows), {len(row) for row in rows})
        except Exception as error:  # whatever a wrong file leads to
            raise ModelUnavailableError(f"the model fails: {type(error).__name__}") from error
        if shape != (len(encoding), {len(self._config.labels)}):
            raise ModelUnavailableError("the outputs of the model do not fit tokens and id2label")

    def describe(self) -> Mapping[str, str | int]:
        """Hash of the files, precision and device."""
        runtime = self._runtime
        return {"model": self._hash, "precision": runtime.precision, "device": runtime.device}

    def _tagged(self, encoding: Any, text: str, start: int, end: int) -> Iterator[Found]:
        """Tokens that are part of a name, stretched to whole words of the text.

        A word that the part cuts off is left to the part that has it whole.
        """
        rows = self._runtime.token_logits(encoding)
        least, most = start, end
        while least < end and is_inside_word(text, least):
            least += 1
        while most > start and is_inside_word(text, most):
            most -= 1
        for (first, last), row in zip(encoding.offsets, rows, strict=True):
            label, score = self._judged(row)
            words = list(WORD.finditer(text, start + first, start + last)) if label else []
            if words and words[0].start() >= least and words[-1].end() <= most:
                begin, stop = words[0].start(), words[-1].end()
                while is_inside_word(text, begin):
                    begin -= 1
                while is_inside_word(text, stop):
                    stop += 1
                yield Found(begin, stop, label, score)

    def _judged(self, row: Sequence[float]) -> tuple[str, float]:
        """What a token is, and how sure that is; empty for everything that is no name."""
        if not all(map(isfinite, row)):
            raise ArithmeticError("the model gave no finite number")
        top = max(row)
        chances: dict[str, float] = {}
        for meaning, logit in zip(self._meanings, row, strict=True):
            chances[meaning] = chances.get(meaning, 0.0) + exp(logit - top)
        label = max(chances, key=chances.__getitem__)
        score = chances[label] / sum(chances.values())
        return (label, score) if score >= self._threshold else ("", score)


def meaning_of(label: str) -> str:
    """The entity that a class of a model stands for, or nothing."""
    plain = SCHEME.sub("", label).casefold()
    return MEANINGS.get(re.sub(r"[\W_]", "", plain), "")


def merged_names(tagged: Iterator[Found], text: str) -> Iterator[Found]:
    """One finding for each name: parts that overlap or stand beside each other are joined.

    Args:
        tagged: parts, in any order.
        text: where they were found.
    """
    name: Found | None = None
    for part in sorted(tagged, key=_order):
        if name is not None and _is_one(name, part, text):
            end, score = max(name.end, part.end), max(name.score, part.score)
            name = Found(name.start, end, name.label, score)
            continue
        if name is not None:
            yield name
        name = part
    if name is not None:
        yield name


def _is_one(name: Found, part: Found, text: str) -> bool:
    if name.label != part.label:
        return False
    return part.start <= name.end or bool(BETWEEN.fullmatch(text, name.end, part.start))


def _order(found: Found) -> tuple[str, int, int]:
    return found.label, found.start, found.end


def load_token_classifier(
    directory: Path,
    device: Device,
    wanted: Wanted,
    has_package: Callable[[str], bool] = is_installed,
) -> TokenClassifier:
    """Load and try the model of a directory; takes seconds.

    Raises:
        ModelUnavailableError: names the directory and what is missing or wrong.
    """
    go_offline(directory.parent)
    weights = check_weights(directory)
    config = read_config(directory)
    form = best_form(weights, device, has_package)
    tokenizer = load_tokenizer(directory / TOKENIZER, has_package)
    runtime: TokenRuntime
    if form == SAFETENSORS:
        runtime = TorchTokenRuntime(directory, device)
    else:
        runtime = OnnxTokenRuntime(directory / form)
    try:
        digest = model_hash(weights, form)
        model = TokenClassifier(config, tokenizer, runtime, digest, wanted)
        model.warm_up()
    except ModelUnavailableError as error:
        raise ModelUnavailableError(f"{directory}: {error}") from error
    return model
