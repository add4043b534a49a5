"""Runs a classifier's safetensors with torch, on the chosen device."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ogp.guard.device import Device, load_torch
from ogp.guard.model import ModelUnavailableError
from ogp.guard.offline import LOADING

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "int8": "float32"}
"""Precision -> name in torch."""


class TorchRuntime:
    """One model. Thread-safe: it is only read."""

    head = "AutoModelForSequenceClassification"
    """What transformers makes of the files."""
    kind = "classifier"

    def __init__(
        self, directory: Path, device: Device, load: Callable[[], Any] = load_torch
    ) -> None:
        """Load config.json and model.safetensors of a directory; slow.

        Raises:
            ModelUnavailableError: a package is not installed, or the files are no classifier.
        """
        self.device, self.precision = device.name, device.precision
        self._torch = load()
        self._model = _open(directory, self.head, self.kind)
        self._filler = getattr(self._model.config, "pad_token_id", None) or 0
        dtype = getattr(self._torch, DTYPES[device.precision])
        # after loading: transformers would change torch's default type for all threads meanwhile
        try:
            self._model = self._model.to(device=device.name, dtype=dtype).eval()
        except Exception as error:  # out of memory, or a driver that does not fit
            raise ModelUnavailableError(
                f"{directory} does not go to the device {device.name}: {type(error).__name__}"
            ) from error

    def logits(self, encodings: Sequence[Any]) -> Sequence[Sequence[float]]:
        """The raw outputs for each `tokenizers.Encoding` of one text, not of a pair.

        Shorter ones are filled up to the longest, unseen, as the attention mask says.
        """
        torch = self._torch
        longest = max(map(len, encodings))
        rows = [encoding.ids + [self._filler] * (longest - len(encoding)) for encoding in encodings]
        seen = [[1] * len(encoding) + [0] * (longest - len(encoding)) for encoding in encodings]
        with torch.inference_mode():
            ids = torch.tensor(rows, device=self.device)
            mask = torch.tensor(seen, device=self.device)
            logits = self._model(input_ids=ids, attention_mask=mask).logits
            return [[float(logit) for logit in row] for row in logits.float().tolist()]


def _open(directory: Path, head: str, kind: str) -> Any:
    try:
        import transformers
    except (ImportError, OSError) as error:
        raise ModelUnavailableError("the package transformers is missing or broken") from error
    try:
        with LOADING:
            model, report = getattr(transformers, head).from_pretrained(
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
        raise ModelUnavailableError(f"{directory}: model.safetensors lacks weights of a {kind}")
    return model
