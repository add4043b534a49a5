"""Runs a classifier's ONNX file on the CPU, in the calling thread alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ogp.guard.device import DeviceName, Precision
from ogp.guard.model import ModelUnavailableError
from ogp.guard.weights import INT8_ONNX

INPUTS = {
    "input_ids": "ids",
    "attention_mask": "attention_mask",
    "token_type_ids": "type_ids",
}
"""Input of the file -> attribute of `tokenizers.Encoding`."""
OUTPUT = "logits"
ERRORS_ONLY = 3


class OnnxRuntime:
    """One session. Thread-safe."""

    device: DeviceName = "cpu"

    def __init__(self, path: Path) -> None:
        """Load the file; slow.

        Raises:
            ModelUnavailableError: onnxruntime is not installed, or the file is no classifier.
        """
        self.precision: Precision = "int8" if path.name == INT8_ONNX else "fp32"
        self._session = _open(path)
        self._types: dict[str, str] = {}
        for needed in self._session.get_inputs():
            if needed.name not in INPUTS:
                raise ModelUnavailableError(f"{path} wants an unknown input, {needed.name}")
            self._types[needed.name] = needed.type.removeprefix("tensor(").removesuffix(")")
        if "input_ids" not in self._types:
            raise ModelUnavailableError(f"{path} has no input named input_ids")
        names = [output.name for output in self._session.get_outputs()]
        if OUTPUT not in names:
            raise ModelUnavailableError(f"{path} has no output named {OUTPUT}")

    def logits(self, encoding: Any) -> Sequence[float]:
        """The raw outputs for one `tokenizers.Encoding`."""
        import numpy

        feed = {
            name: numpy.array([getattr(encoding, INPUTS[name])], dtype=kind)
            for name, kind in self._types.items()
        }
        (logits,) = self._session.run([OUTPUT], feed)
        return [float(logit) for logit in logits[0]]


def _open(path: Path) -> Any:
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        raise ModelUnavailableError("the package onnxruntime is missing or broken") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base of their own
        raise ModelUnavailableError(f"{path} cannot be loaded: {type(error).__name__}") from error
