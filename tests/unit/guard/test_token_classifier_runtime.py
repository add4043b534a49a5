"""Outputs for each token, from real files of each form."""

from pathlib import Path

import pytest

from ogp.guard.device import Device
from ogp.guard.model import ModelUnavailableError
from ogp.guard.token_classifier_runtime import OnnxTokenRuntime, TorchTokenRuntime
from tests.support.tiny_models import write_classifier
from tests.support.tiny_ner import LABELS, Form, write_ner

CPU = Device("cpu", "test", "fp32")


def encoding(directory: Path) -> object:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(directory / "tokenizer.json")).encode("hello Ada of Paris")


def test_each_token_has_a_number_for_each_class(tmp_path: Path) -> None:
    rows = TorchTokenRuntime(write_ner(tmp_path), CPU).token_logits(encoding(tmp_path))
    assert [len(row) for row in rows] == [len(LABELS)] * 6
    assert [LABELS[max(range(len(row)), key=row.__getitem__)] for row in rows[1:-1]] == [
        *("O", "B-PER", "O", "B-LOC")
    ]


@pytest.mark.parametrize(("form", "precision"), [("onnx", "fp32"), ("onnx-int8", "int8")])
def test_an_onnx_file_says_what_torch_says(tmp_path: Path, form: Form, precision: str) -> None:
    write_ner(tmp_path)
    write_ner(tmp_path, form=form)
    tokens = encoding(tmp_path)
    runtime = OnnxTokenRuntime(next(tmp_path.glob("*.onnx")))
    assert (runtime.device, runtime.precision) == ("cpu", precision)
    by_torch = TorchTokenRuntime(tmp_path, CPU).token_logits(tokens)
    for ours, theirs in zip(runtime.token_logits(tokens), by_torch, strict=True):
        assert ours == pytest.approx(theirs, abs=0.1)


def test_bfloat16_keeps_the_classes(tmp_path: Path) -> None:
    runtime = TorchTokenRuntime(write_ner(tmp_path), Device("cpu", "test", "bf16"))
    rows = runtime.token_logits(encoding(tmp_path))
    assert [row.index(max(row)) for row in rows] == [0, 0, 1, 0, 3, 0]


def test_broken_weights_name_the_directory(tmp_path: Path) -> None:
    write_ner(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelUnavailableError, match=f"{tmp_path} cannot be loaded"):
        TorchTokenRuntime(tmp_path, CPU)


def test_a_model_without_a_head_is_refused(tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModel

    write_ner(tmp_path)
    AutoModel.from_config(AutoConfig.from_pretrained(tmp_path)).save_pretrained(tmp_path)
    with pytest.raises(ModelUnavailableError, match="lacks weights of a token classifier"):
        TorchTokenRuntime(tmp_path, CPU)


def test_a_device_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="does not go to the device mps"):
        TorchTokenRuntime(write_ner(tmp_path), Device("mps", "test", "fp16"))


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ModelUnavailableError, match="transformers is missing"):
        TorchTokenRuntime(tmp_path, CPU)


def test_a_file_that_is_no_onnx_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"none")
    with pytest.raises(ModelUnavailableError, match="cannot be loaded"):
        OnnxTokenRuntime(tmp_path / "model.onnx")


def test_a_classifier_of_texts_gives_no_number_for_each_token(tmp_path: Path) -> None:
    write_classifier(tmp_path, form="onnx")
    rows = OnnxTokenRuntime(tmp_path / "model.onnx").token_logits(encoding(tmp_path))
    assert rows == pytest.approx(rows)
    assert all(isinstance(row, float) for row in rows)
