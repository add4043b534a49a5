"""Runs token classifiers: as the runtimes of text classifiers do, with numbers for each token."""

from collections.abc import Sequence
from typing import Any

from ogp.guard.runtime_onnx import INPUTS, OUTPUT, OnnxRuntime
from ogp.guard.runtime_torch import TorchRuntime


class OnnxTokenRuntime(OnnxRuntime):
    """One session. Thread-safe."""

    def token_logits(self, encoding: Any) -> Sequence[Sequence[float]]:
        """For each token of a `tokenizers.Encoding` one number for each class."""
        import numpy

        feed = {
            name: numpy.array([getattr(encoding, INPUTS[name])], dtype=kind)
            for name, kind in self._types
        }
        (logits,) = self._session.run([OUTPUT], feed)
        found: list[list[float]] = numpy.asarray(logits[0], dtype="float64").tolist()
        return found


class TorchTokenRuntime(TorchRuntime):
    """One model. Thread-safe: it is only read."""

    head = "AutoModelForTokenClassification"
    kind = "token classifier"

    def token_logits(self, encoding: Any) -> Sequence[Sequence[float]]:
        """For each token of a `tokenizers.Encoding` one number for each class."""
        torch = self._torch
        with torch.inference_mode():
            ids = torch.tensor([encoding.ids], device=self.device)
            logits = self._model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            found: list[list[float]] = logits[0].float().tolist()
        return found
