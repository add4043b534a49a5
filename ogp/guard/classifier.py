"""Text classifiers by our own path: tokenizers, and onnxruntime or torch. No pipeline between."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import exp, isfinite
from pathlib import Path
from typing import Any, Protocol

from ogp.guard.device import Device, DeviceName, Precision
from ogp.guard.model import ModelUnavailableError, Score
from ogp.guard.offline import go_offline
from ogp.guard.runtime_onnx import OnnxRuntime
from ogp.guard.runtime_torch import TorchRuntime
from ogp.guard.weights import (
    SAFETENSORS,
    TOKENIZER,
    ModelConfig,
    Weights,
    check_weights,
    model_hash,
    read_config,
)
from ogp.guard.windows import TokenWindows

WARM_UP = "How are you?"


@dataclass(frozen=True, slots=True)
class Definition:
    """A scanner that is one classifier."""

    name: str
    """In settings, and of the directory below `guard.models.path`."""
    model: str
    """The public model it was made for."""
    risk_labels: frozenset[str]
    """Classes whose probability is the risk, the highest counts; folded case. Others are not."""
    needed_labels: frozenset[str]
    """Without these the model is another one, and its scores would mean something else."""
    is_multi_label: bool
    """Each class is judged for itself, whatever config.json says."""


PROMPT_INJECTION = Definition(
    name="prompt_injection",
    model="protectai/deberta-v3-base-prompt-injection-v2",
    risk_labels=frozenset({"injection"}),
    needed_labels=frozenset({"injection"}),
    is_multi_label=False,
)
TOXIC = "toxicity severe_toxicity obscene threat insult identity_attack sexual_explicit"
TOXICITY = Definition(
    name="toxicity",
    model="unitary/unbiased-toxic-roberta",
    risk_labels=frozenset(TOXIC.split()),
    needed_labels=frozenset({"toxicity"}),
    is_multi_label=True,
)
DEFINITIONS: Mapping[str, Definition] = {
    definition.name: definition for definition in (PROMPT_INJECTION, TOXICITY)
}


class Runtime(Protocol):
    """Computes a classifier's raw outputs, in the calling thread. Thread-safe."""

    device: DeviceName
    precision: Precision

    def logits(self, encodings: Sequence[Any]) -> Sequence[Sequence[float]]:
        """One number for each class, for each `tokenizers.Encoding`; at least one is given."""
        ...


class Classifier:
    """A loaded classifier; a `guard.model.Model`. Thread-safe."""

    takes_batches = True

    def __init__(
        self,
        definition: Definition,
        config: ModelConfig,
        windows: TokenWindows,
        runtime: Runtime,
        model_hash: str,
    ) -> None:
        """Put the parts together.

        Raises:
            ModelUnavailableError: the model's classes are not those of the definition.
        """
        folded = [label.casefold() for label in config.labels]
        self._risky = [n for n, label in enumerate(folded) if label in definition.risk_labels]
        if lacking := definition.needed_labels.difference(folded):
            raise ModelUnavailableError(
                f"id2label names no class {', '.join(sorted(lacking)).upper()}: "
                f"{definition.name} cannot tell what its scores mean"
            )
        self._multi = definition.is_multi_label or config.is_multi_label
        if not self._multi and len(folded) < 2:
            raise ModelUnavailableError("id2label names one class: every score would be 1")
        self._config, self._windows, self._runtime = config, windows, runtime
        self._hash = model_hash

    def windows(self, text: str) -> Sequence[str]:
        """The text in overlapping slices that the model sees whole; none if it has no tokens."""
        return self._windows.cut(text)

    def scores(self, windows: Sequence[tuple[str, str]]) -> Sequence[Score]:
        """Judge windows, in one go; what was asked is not looked at.

        Raises:
            ValueError: a text is too long to be a window.
            ArithmeticError: the model gave no finite number, as half precision can.
        """
        encodings = [self._windows.encode(window) for window, _ in windows]
        if any(len(encoding) > self._config.max_tokens for encoding in encodings):
            raise ValueError("a window longer than the model sees")
        return [self._score(logits) for logits in self._runtime.logits(encodings)]

    def judged_at(self, threshold: float) -> "Classifier":  # noqa: ARG002 - it looks at all of it
        """Itself."""
        return self

    def warm_up(self) -> None:
        """Judge one text, so that the first request need not wait for what is set up late.

        Raises:
            ModelUnavailableError: that failed, or the outputs do not fit the classes.
        """
        try:
            outputs = len(self._runtime.logits([self._windows.encode(WARM_UP)])[0])
            if outputs == len(self._config.labels):
                self.scores([(WARM_UP, "")])
        except Exception as error:  # whatever a wrong file leads to
            raise ModelUnavailableError(f"the model fails: {type(error).__name__}") from error
        if outputs != len(self._config.labels):
            raise ModelUnavailableError(
                f"the model has {outputs} outputs, id2label {len(self._config.labels)} classes"
            )

    def describe(self) -> Mapping[str, str | int]:
        """Hash of the files, precision and device."""
        runtime = self._runtime
        return {"model": self._hash, "precision": runtime.precision, "device": runtime.device}

    def _score(self, logits: Sequence[float]) -> Score:
        if not all(map(isfinite, logits)):
            raise ArithmeticError("the model gave no finite number")
        chances = _sigmoid(logits) if self._multi else _softmax(logits)
        seen = max(self._risky if self._multi else range(len(chances)), key=chances.__getitem__)
        return Score(max(chances[n] for n in self._risky), self._config.labels[seen])


def is_installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    return find_spec(package) is not None


def load_classifier(
    definition: Definition,
    directory: Path,
    device: Device,
    has_package: Callable[[str], bool] = is_installed,
) -> Classifier:
    """Load and try the classifier of a directory; takes seconds.

    On a GPU safetensors come first, as the ONNX files run on the CPU only.

    Raises:
        ModelUnavailableError: names the directory and what is missing or wrong.
    """
    go_offline(directory.parent)
    weights = check_weights(directory)
    config = read_config(directory)
    form = best_form(weights, device, has_package)
    windows = _load_windows(directory / TOKENIZER, config.max_tokens, has_package)
    runtime = (
        TorchRuntime(directory, device) if form == SAFETENSORS else OnnxRuntime(directory / form)
    )
    try:
        digest = model_hash(weights, form)
        classifier = Classifier(definition, config, windows, runtime, digest)
        classifier.warm_up()
    except ModelUnavailableError as error:
        raise ModelUnavailableError(f"{directory}: {error}") from error
    return classifier


def best_form(weights: Weights, device: Device, has_package: Callable[[str], bool]) -> str:
    """The best form that the installed packages can run; ONNX files run on the CPU only.

    Raises:
        ModelUnavailableError: they can run none; names the packages.
    """
    forms = sorted(weights.forms, key=lambda form: device.is_gpu and form != SAFETENSORS)
    lacking: list[str] = []
    for form in forms:
        needed = ("torch", "transformers") if form == SAFETENSORS else ("onnxruntime", "numpy")
        absent = [package for package in needed if not has_package(package)]
        if not absent:
            return form
        lacking.append(f"{form} needs the package {' and '.join(absent)}")
    raise ModelUnavailableError(f"{weights.directory}: {'; '.join(lacking)}")


def load_tokenizer(path: Path, has_package: Callable[[str], bool]) -> Any:
    """A `tokenizers.Tokenizer` from its file.

    Raises:
        ModelUnavailableError: the package is not installed, or the file is no tokenizer.
    """
    if not has_package("tokenizers"):
        raise ModelUnavailableError("the package tokenizers is not installed")
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing finer
        raise ModelUnavailableError(f"{path} cannot be loaded: {type(error).__name__}") from error


def _load_windows(path: Path, max_tokens: int, has_package: Callable[[str], bool]) -> TokenWindows:
    tokenizer = load_tokenizer(path, has_package)
    try:
        return TokenWindows(tokenizer, max_tokens)
    except ValueError as error:
        raise ModelUnavailableError(f"{path.parent}: {error}") from error


def _softmax(logits: Sequence[float]) -> Sequence[float]:
    top = max(logits)
    powers = [exp(logit - top) for logit in logits]
    return [power / sum(powers) for power in powers]


def _sigmoid(logits: Sequence[float]) -> Sequence[float]:
    """1 / (1 + exp(-x)), in the form that cannot overflow."""
    return [
        1 / (1 + exp(-logit)) if logit >= 0 else exp(logit) / (1 + exp(logit)) for logit in logits
    ]
