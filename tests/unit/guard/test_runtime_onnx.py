import builtins
from pathlib import Path
from typing import Any

import pytest

from ogp.guard.model import ModelUnavailableError
from ogp.guard.runtime_onnx import OnnxRuntime
from tests.support.tiny_models import Form, build_tokenizer, write_classifier


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("onnx")
    return write_classifier(directory, verdict="INJECTION", form="onnx") / "model.onnx"


def write_graph(
    path: Path, inputs: dict[str, str], output: str = "logits", rows: int | str = "batch"
) -> Path:
    """An ONNX file that adds its inputs up; the values are kinds of tensor elements."""
    from onnx import TensorProto, helper, save

    def described(name: str, kind: str) -> Any:
        return helper.make_tensor_value_info(name, getattr(TensorProto, kind), [rows, "tokens"])

    casts = [
        helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT) for name in inputs
    ]
    total = helper.make_node("Sum", [f"{name}_float" for name in inputs], [output])
    graph = helper.make_graph(
        [*casts, total],
        "sum",
        [described(name, kind) for name, kind in inputs.items()],
        [described(output, "FLOAT")],
    )
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    return path


def test_outputs_come_one_for_each_class(model: Path) -> None:
    encoding = build_tokenizer("words").encode("hello world")
    assert OnnxRuntime(model).logits([encoding])[0] == pytest.approx([-5, 5], abs=1e-3)


@pytest.mark.parametrize(("form", "precision"), [("onnx", "fp32"), ("onnx-int8", "int8")])
def test_precision_is_that_of_the_file(form: Form, precision: str, tmp_path: Path) -> None:
    directory = write_classifier(tmp_path, verdict="SAFE", form=form)
    runtime = OnnxRuntime(next(directory.glob("*.onnx")))
    assert (runtime.precision, runtime.device) == (precision, "cpu")


def test_it_computes_in_the_calling_thread_alone(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    seen: list[Any] = []
    real = onnxruntime.InferenceSession

    def spy(path: str, options: Any, **more: Any) -> Any:
        seen.append((options.intra_op_num_threads, options.inter_op_num_threads))
        return real(path, options, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", spy)
    OnnxRuntime(model)
    assert seen == [(1, 1)]


@pytest.mark.parametrize("kind", ["INT64", "INT32"])
def test_inputs_are_given_as_the_file_wants_them(kind: str, tmp_path: Path) -> None:
    inputs = dict.fromkeys(("input_ids", "attention_mask", "token_type_ids"), kind)
    path = write_graph(tmp_path / "model.onnx", inputs)
    encoding = build_tokenizer("words").encode("the a", "of")
    expected = [
        sum(parts)
        for parts in zip(encoding.ids, encoding.attention_mask, encoding.type_ids, strict=True)
    ]
    assert OnnxRuntime(path).logits([encoding])[0] == expected
    assert max(encoding.type_ids) == 1


def test_unknown_input_is_named(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "model.onnx", {"input_ids": "INT64", "pixels": "INT64"})
    with pytest.raises(ModelUnavailableError, match=rf"{path} wants an unknown input, pixels"):
        OnnxRuntime(path)


def test_file_that_takes_no_text_is_refused(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "model.onnx", {"attention_mask": "INT64"})
    with pytest.raises(ModelUnavailableError, match=rf"{path} has no input named input_ids"):
        OnnxRuntime(path)


def test_file_of_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    path = write_graph(tmp_path / "model.onnx", {"input_ids": "INT64"}, "last_hidden_state")
    with pytest.raises(ModelUnavailableError, match=rf"{path} has no output named logits"):
        OnnxRuntime(path)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_broken_file_is_told(share: float, model: Path, tmp_path: Path) -> None:
    whole = model.read_bytes()
    path = tmp_path / "model.onnx"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelUnavailableError, match=rf"{path} cannot be loaded: \w+$"):
        OnnxRuntime(path)


def test_missing_package_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def failing(name: str, *rest: Any, **more: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", failing)
    with pytest.raises(ModelUnavailableError, match="package onnxruntime is missing"):
        OnnxRuntime(model)


def test_several_are_run_in_one_go(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = OnnxRuntime(model)
    tokenizer = build_tokenizer("words")
    encodings = [tokenizer.encode(text) for text in ("hello", "hello world how do you do", "the")]
    runs: list[int] = []
    real = runtime._run
    monkeypatch.setattr(runtime, "_run", lambda given: runs.append(len(given)) or real(given))
    together = runtime.logits(encodings)
    assert runs == [3]
    for encoding, logits in zip(encodings, together, strict=True):
        assert logits == pytest.approx(runtime.logits([encoding])[0], abs=1e-5)


def test_a_file_without_a_mask_sees_no_filler(tmp_path: Path) -> None:
    runtime = OnnxRuntime(write_graph(tmp_path / "model.onnx", {"input_ids": "INT64"}))
    encodings = [build_tokenizer("words").encode(text) for text in ("the", "hello world the")]
    assert [list(row) for row in runtime.logits(encodings)] == [
        encoding.ids for encoding in encodings
    ]


def test_a_file_for_one_text_is_given_one(tmp_path: Path) -> None:
    inputs = dict.fromkeys(("input_ids", "attention_mask"), "INT64")
    runtime = OnnxRuntime(write_graph(tmp_path / "model.onnx", inputs, rows=1))
    encodings = [build_tokenizer("words").encode(text) for text in ("the", "hello world the")]
    assert [len(row) for row in runtime.logits(encodings)] == [3, 5]
