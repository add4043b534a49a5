"""Conversions of real, tiny weights."""

import hashlib
import logging
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest

from ogp.guard.classifier import PROMPT_INJECTION, load_classifier
from ogp.guard.device import Device
from ogp.guard.export import (
    Comparison,
    VerdictsChangedError,
    export_onnx,
    quantise,
)
from ogp.guard.model import Model, ModelUnavailableError
from ogp.guard.samples import SAMPLES
from tests.support.phrase_model import score_of
from tests.support.tiny_models import Architecture, write_classifier

CPU = Device("cpu", "test", "fp32")
HALF = (0.5,)


def load(directory: Path) -> Model:
    return load_classifier(PROMPT_INJECTION, directory, CPU)


def random_weights(directory: Path, architecture: Architecture = "bert") -> Path:
    return write_classifier(directory, architecture=architecture)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights with random scores, in both forms."""
    directory = random_weights(tmp_path_factory.mktemp("made") / "prompt_injection")
    export_onnx(directory, load, HALF, force=True)
    return directory


@pytest.fixture
def weights(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "prompt_injection"))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # while weights are written
@pytest.mark.parametrize("architecture", ["bert", "deberta-v2", "roberta"])
def test_onnx_gives_the_scores_of_the_weights_at_every_length(
    architecture: Architecture, tmp_path: Path
) -> None:
    compared = export_onnx(random_weights(tmp_path / "m", architecture), load, HALF)
    assert len(set(compared.before)) > 10
    assert len(compared.after) == len(SAMPLES)
    assert compared.max_difference < 1e-4
    assert compared.changed == ()


def test_what_is_made_loads_and_scores_the_same(weights: Path) -> None:
    compared = quantise(weights, load, HALF, force=True)
    model = load(weights)
    assert model.describe()["precision"] == "int8"
    assert score_of(model, SAMPLES[1]).value == pytest.approx(compared.after[1])


def test_int8_scores_differ_a_little(weights: Path) -> None:
    compared = quantise(weights, load, HALF, force=True)
    assert 0 < compared.max_difference < 0.5


def threshold_between(compared: Comparison) -> tuple[int, float]:
    """A sample, and a threshold at which its verdict changes."""
    pairs = list(zip(compared.before, compared.after, strict=True))
    number = max(range(len(pairs)), key=lambda n: abs(pairs[n][0] - pairs[n][1]))
    return number, sum(pairs[number]) / 2


def test_int8_that_changes_a_verdict_is_not_installed(weights: Path) -> None:
    number, threshold = threshold_between(quantise(weights, load, HALF, force=True))
    (weights / "model.int8.onnx").unlink()
    with pytest.raises(VerdictsChangedError, match=r"model\.int8\.onnx judges \d+ of \d+ samples"):
        quantise(weights, load, (0.99999, threshold))
    assert not (weights / "model.int8.onnx").exists()
    assert number in quantise(weights, load, (threshold,), force=True).changed
    assert (weights / "model.int8.onnx").is_file()


def test_a_refusal_keeps_the_model_that_was_there(weights: Path) -> None:
    _, threshold = threshold_between(quantise(weights, load, HALF, force=True))
    before = (weights / "model.int8.onnx").stat()
    with pytest.raises(VerdictsChangedError):
        quantise(weights, load, (threshold,))
    assert (weights / "model.int8.onnx").stat().st_ino == before.st_ino


def test_nothing_is_left_beside_the_weights(weights: Path, tmp_path: Path) -> None:
    quantise(weights, load, HALF, force=True)
    assert list(tmp_path.iterdir()) == [weights]
    assert not [path for path in weights.iterdir() if path.name.startswith(".")]


def test_checksums_speak_of_the_new_file(weights: Path) -> None:
    sums = weights / "SHA256SUMS"
    sums.write_text("aaaa  config.json\nbbbb  model.int8.onnx\n", "utf-8")
    quantise(weights, load, HALF, force=True)
    digest = hashlib.sha256((weights / "model.int8.onnx").read_bytes()).hexdigest()
    assert sums.read_text("utf-8") == f"aaaa  config.json\n{digest}  model.int8.onnx\n"


def test_no_checksums_are_begun_where_none_are_kept(weights: Path) -> None:
    quantise(weights, load, HALF, force=True)
    assert not (weights / "SHA256SUMS").exists()


def test_the_length_of_texts_is_the_same_while_comparing(weights: Path) -> None:
    lengths = []

    def watch(directory: Path) -> Model:
        lengths.append((directory / "tokenizer_config.json").is_file())
        return load(directory)

    quantise(weights, watch, HALF, force=True)
    (weights / "tokenizer_config.json").unlink()
    quantise(weights, watch, HALF, force=True)
    assert lengths == [True, True, False, False]


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(weights: Path, name: str) -> None:
    (weights / name).unlink()
    with pytest.raises(ModelUnavailableError, match=f"has no {name}"):
        export_onnx(weights, load, HALF)


def test_weights_that_are_none_are_refused(weights: Path) -> None:
    (weights / "model.safetensors").write_bytes(b"{}")
    with pytest.raises(ModelUnavailableError, match=r"model\.safetensors cannot be loaded"):
        export_onnx(weights, load, HALF)


def test_onnx_that_is_none_is_refused(weights: Path) -> None:
    (weights / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(ModelUnavailableError, match=r"model\.onnx cannot be quantised"):
        quantise(weights, load, HALF)


@pytest.mark.parametrize(
    ("package", "make", "told"),
    [
        ("transformers", export_onnx, "the package transformers is not installed"),
        ("onnxruntime.quantization", quantise, "int8 needs the packages onnx and onnxruntime"),
    ],
)
def test_a_missing_package_is_named(
    weights: Path,
    package: str,
    make: "partial[Comparison]",
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModelUnavailableError, match=told):
        make(weights, load, HALF)


def test_a_directory_that_cannot_be_written_to_is_told(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ogp.guard.export._link", full)
    with pytest.raises(ModelUnavailableError, match="No space left on device"):
        quantise(weights, load, HALF)


def test_the_log_is_as_loud_as_before(weights: Path) -> None:
    logging.disable(logging.INFO)
    try:
        quantise(weights, load, HALF, force=True)
        assert logging.root.manager.disable == logging.INFO
    finally:
        logging.disable(logging.NOTSET)


def test_a_difference_at_any_threshold_counts() -> None:
    compared = Comparison("m", (0.1, 0.5, 0.91), (0.2, 0.49, 0.93), (0.5, 0.92))
    assert compared.changed == (1, 2)
    assert compared.max_difference == pytest.approx(0.1)
