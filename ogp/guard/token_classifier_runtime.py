"""Runs token classifiers: as the runtimes of text classifiers do, with numbers for each token."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ogp.guard.device import Device, load_torch
from ogp.guard.model import ModelUnavailableError
from ogp.guard.offline import LOADING
from ogp.guard.runtime_onnx import INPUTS, OUTPUT, OnnxRuntime
from ogp.guard.runtime_torch import DTYPES


class OnnxTokenRuntime(OnnxRuntime):
    """One session. Thread-safe."""

    def token_logits(self, encoding: Any) -> Sequence[Sequence[float]]:
        """For each token of a `tokenizers.Encoding` one number for each class."""
        import numpy

        feed = {
            needed.name: numpy.array(
                [getattr(encoding, INPUTS[needed.name])],
                dtype=needed.type.removeprefix("tensor(").removesuffix(")"),
            )
            for needed in self._session.get_inputs()
        }
        (logits,) = self._session.run([OUTPUT], feed)
        found: list[list[float]] = numpy.asarray(logits[0], dtype="float64").tolist()
        return found


class TorchTokenRuntime:
    """One model. Thread-safe: it is only read."""

    def __init__(
        self, directory: Path, device: Device, load: Callable[[], Any] = load_torch
    ) -> None:
        """Load config.json and model.safetensors of a directory; slow.

        Raises:
            ModelUnavailableError: a package is not installed, or the files are no token classifier.
        """
        self.device, self.precision = device.name, device.precision
        self._torch = load()
        model = _open(directory)
        try:
            dtype = getattr(self._torch, DTYPES[device.precision])
            self._model = model.to(device=device.name, dtype=dtype).eval()
        except Exception as error:  # out of memory, or a driver that does not fit
            raise ModelUnavailableError(
                f"{directory} does not go to the device {device.name}: {type(error).__name__}"
            ) from error

    def token_logits(self, encoding: Any) -> Sequence[Sequence[float]]:
        """For each token of a `tokenizers.Encoding` one number for each class."""
        torch = self._torch
        with torch.inference_mode():
            ids = torch.tensor([encoding.ids], device=self.device)
            logits = self._model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            found: list[list[float]] = logits[0].float().tolist()
        return found


def _open(directory: Path) -> Any:
    try:
        from transformers import AutoModelForTokenClassification
    except (ImportError, OSError) as error:
        raise ModelUnavailableError("the package transformers is missing or broken") from error
    try:
        with LOADING:
            model, report = AutoModelForTokenClassification.from_pretrained(
                directory,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except Exception as error:  # whatever a broken file leads to
        raise ModelUnavailableError(
            f"{directory} cannot be loaded: {type(error).__name__}"
        ) from error
    if report["missing_keys"]:  # transformers makes up random ones
        raise ModelUnavailableError(
            f"{directory}: model.safetensors lacks weights of a token classifier"
        )
    return model
