"""Makes `model.onnx` and `model.int8.onnx` of weights, and compares scores before they are used.

Everything is made beside the weights and renamed when its scores have been compared: what serves is
never half written. Needs torch and transformers (ONNX), onnx and onnxruntime (int8).
"""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ogp.guard.device import load_torch
from ogp.guard.model import Model, ModelUnavailableError
from ogp.guard.offline import LOADING, go_offline
from ogp.guard.samples import SAMPLES

WEIGHTS, ONNX, INT8 = "model.safetensors", "model.onnx", "model.int8.onnx"
BESIDE = ("config.json", "tokenizer.json")
"""What a model needs beside its weights."""
LIMITS = "tokenizer_config.json"
"""Tells how long a text may be; not every model has it."""
CHECKSUMS = "SHA256SUMS"
OPSET = 17
TRACED_TOKENS = 8
"""Length of the text that is traced; the graph takes any length."""

Load = Callable[[Path], Model]
"""Loads the model in a directory, as the guard would."""


class VerdictsChangedError(Exception):
    """The new file judges some sample differently; it was not installed."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Scores of `SAMPLES` from the file that was there and from the one made of it."""

    made: str
    """Name of the new file."""
    before: tuple[float, ...]
    after: tuple[float, ...]
    thresholds: tuple[float, ...]

    @property
    def max_difference(self) -> float:
        """The largest change of a score."""
        return max(abs(old - new) for old, new in zip(self.before, self.after, strict=True))

    @property
    def changed(self) -> tuple[int, ...]:
        """Numbers, from 0, of the samples whose verdict changes at some threshold."""
        return tuple(
            number
            for number, (old, new) in enumerate(zip(self.before, self.after, strict=True))
            if any((old >= limit) != (new >= limit) for limit in self.thresholds)
        )


def export_onnx(
    directory: Path, load: Load, thresholds: Sequence[float], *, force: bool = False
) -> Comparison:
    """Make `model.onnx` of `model.safetensors`. Slow: a minute for a base model.

    Args:
        directory: of one scanner's weights.
        load: loads a directory for the comparison.
        thresholds: scores from which a text is a hit, one or more.
        force: install it though verdicts change.

    Raises:
        ModelUnavailableError: weights or a package are missing, or cannot be used.
        VerdictsChangedError: verdicts change, nothing was installed.
    """
    return _make(directory, (WEIGHTS, ONNX), _trace, load, tuple(thresholds), force=force)


def quantise(
    directory: Path, load: Load, thresholds: Sequence[float], *, force: bool = False
) -> Comparison:
    """Make `model.int8.onnx` of `model.onnx`; everything else as in `export_onnx`."""
    return _make(directory, (ONNX, INT8), _quantise, load, tuple(thresholds), force=force)


def _make(
    directory: Path,
    names: tuple[str, str],
    convert: Callable[[Path, Path], None],
    load: Load,
    thresholds: tuple[float, ...],
    *,
    force: bool,
) -> Comparison:
    source, made = names
    for name in (*BESIDE, source):
        if not (directory / name).is_file():
            raise ModelUnavailableError(f"{directory} has no {name}")
    go_offline(directory.parent)
    with _workspace(directory) as space:
        before, after = space / "before", space / "after"
        beside = (*BESIDE, LIMITS) if (directory / LIMITS).is_file() else BESIDE
        _link(directory, before, (*beside, source))
        _link(directory, after, beside)
        convert(before, after / made)
        result = Comparison(made, _scores(load(before)), _scores(load(after)), thresholds)
        if result.changed and not force:
            raise VerdictsChangedError(
                f"{made} judges {len(result.changed)} of {len(SAMPLES)} samples differently "
                f"(largest difference of a score {result.max_difference:.4f})"
            )
        _install(after / made, directory / made)
    return result


@contextmanager
def _workspace(directory: Path) -> Iterator[Path]:
    """A directory on the same file system, so that a rename moves what was made."""
    try:
        with TemporaryDirectory(prefix=f".{directory.name}.export.", dir=directory.parent) as name:
            yield Path(name)
    except OSError as error:
        raise ModelUnavailableError(
            f"{directory}: nothing can be made beside it: {error.strerror}"
        ) from error


def _link(directory: Path, to: Path, names: Sequence[str]) -> None:
    to.mkdir()
    for name in names:
        (to / name).symlink_to((directory / name).resolve())


def _scores(model: Model) -> tuple[float, ...]:
    windows = ([(window, "") for window in model.windows(text)] for text in SAMPLES)
    return tuple(max(score.value for score in model.scores(each)) for each in windows)


def _trace(source: Path, made: Path) -> None:
    torch = load_torch()
    axes = {name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask")}
    traced = torch.ones(1, TRACED_TOKENS, dtype=torch.long)
    with _quiet(), torch.no_grad():
        torch.onnx.export(
            _pretrained(source),
            (traced, traced),
            str(made),
            input_names=list(axes),
            output_names=["logits"],
            dynamic_axes={**axes, "logits": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )


def _pretrained(directory: Path) -> Any:
    try:
        from transformers import AutoModelForSequenceClassification
    except ImportError as error:
        raise ModelUnavailableError("the package transformers is not installed") from error
    try:
        with LOADING:
            return AutoModelForSequenceClassification.from_pretrained(
                str(directory),
                attn_implementation="eager",  # the others cannot be traced
                local_files_only=True,
                use_safetensors=True,
            ).eval()
    except Exception as error:  # the library's errors have no common class
        kind = type(error).__name__
        raise ModelUnavailableError(f"{WEIGHTS} cannot be loaded: {kind}") from error


def _quantise(source: Path, made: Path) -> None:
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise ModelUnavailableError(
            "int8 needs the packages onnx and onnxruntime; one is not installed"
        ) from error
    with _quiet():
        try:
            quantize_dynamic(source / ONNX, made, weight_type=QuantType.QInt8)
        except Exception as error:
            kind = type(error).__name__
            raise ModelUnavailableError(f"{ONNX} cannot be quantised: {kind}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the remarks of converters, which an operator can do nothing about."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _install(made: Path, target: Path) -> None:
    """Move it into place; in between, the checksums do not speak of it."""
    with made.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    _record(target, None)
    made.replace(target)
    _record(target, digest)


def _record(target: Path, digest: str | None) -> None:
    """Change one line of the checksums, if they are kept at all."""
    path = target.with_name(CHECKSUMS)
    if not path.is_file():
        return
    lines = [
        line for line in path.read_text("utf-8").splitlines() if line.split()[1:] != [target.name]
    ]
    if digest is not None:
        lines.append(f"{digest}  {target.name}")
    beside = path.with_name(f".{CHECKSUMS}.{os.getpid()}")
    beside.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    beside.replace(path)
