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
        needed = self._session.get_inputs()
        if unknown := [each.name for each in needed if each.name not in INPUTS]:
            raise ModelUnavailableError(f"{path} wants an unknown input, {unknown[0]}")
        names = [each.name for each in needed]
        if "input_ids" not in names:
            raise ModelUnavailableError(f"{path} has no input named input_ids")
        self._types = [
            (each.name, each.type.removeprefix("tensor(").removesuffix(")")) for each in needed
        ]
        self._takes_batches = "attention_mask" in names and not any(
            isinstance(each.shape[0], int) for each in needed
        )
        names = [output.name for output in self._session.get_outputs()]
        if OUTPUT not in names:
            raise ModelUnavailableError(f"{path} has no output named {OUTPUT}")

    def logits(self, encodings: Sequence[Any]) -> Sequence[Sequence[float]]:
        """The raw outputs for each `tokenizers.Encoding`.

        Shorter ones are filled up to the longest, unseen, as the attention mask says. A file that
        has no such input, or that is made for one text, is given one after the other.
        """
        if len(encodings) > 1 and not self._takes_batches:
            return [self._run([encoding])[0] for encoding in encodings]
        return self._run(encodings)

    def _run(self, encodings: Sequence[Any]) -> Sequence[Sequence[float]]:
        import numpy

        longest = max(map(len, encodings))
        feed = {name: numpy.zeros((len(encodings), longest), kind) for name, kind in self._types}
        for row, encoding in enumerate(encodings):
            for name, _ in self._types:
                feed[name][row, : len(encoding)] = getattr(encoding, INPUTS[name])
        (logits,) = self._session.run([OUTPUT], feed)
        return [[float(logit) for logit in row] for row in logits]


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
