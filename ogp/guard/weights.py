"""The files of one model: where they lie, what is missing, what they say, and their hash."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from ogp.guard.model import ModelUnavailableError

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
"""May be missing: it only names the longest text the tokenizer was made for."""
INT8_ONNX, ONNX, SAFETENSORS = "model.int8.onnx", "model.onnx", "model.safetensors"
FORMS = (INT8_ONNX, ONNX, SAFETENSORS)
"""File names of weights, the fastest on a CPU first."""
MAX_CONFIG_BYTES = 1024 * 1024
DEFAULT_MAX_TOKENS = 512
"""For architectures without absolute positions whose config names no length."""
REMEMBERED_FILES = 256


@dataclass(frozen=True, slots=True)
class Weights:
    """A directory that holds a whole model."""

    directory: Path
    forms: tuple[str, ...]
    """File names of the weights that are there, in the order of `FORMS`; at least one."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What we need of config.json."""

    labels: tuple[str, ...]
    """The model's classes, in the order of its outputs."""
    max_tokens: int
    """Most tokens it sees at once, special tokens included."""
    is_multi_label: bool
    """Each class is judged for itself."""


def missing_from(directory: Path) -> str:
    """What a directory lacks to be a model, for people; empty if nothing. Opens no file."""
    try:
        if not directory.is_dir():
            return f"no such directory: {directory}"
        lacking = [name for name in (CONFIG, TOKENIZER) if not (directory / name).is_file()]
        if not _forms_in(directory):
            lacking.append(" or ".join(FORMS))
    except OSError as error:
        return f"{directory} cannot be read: {error.strerror}"
    return f"{directory} lacks {', '.join(lacking)}" if lacking else ""


def find_weights(directory: Path) -> Weights | None:
    """The model of a directory, or None if any part of it is missing. Cheap: opens no file."""
    return None if missing_from(directory) else Weights(directory, _forms_in(directory))


def check_weights(directory: Path) -> Weights:
    """The model of a directory.

    Raises:
        ModelUnavailableError: names the directory and what it lacks.
    """
    if missing := missing_from(directory):
        raise ModelUnavailableError(missing)
    return Weights(directory, _forms_in(directory))


def read_config(directory: Path) -> ModelConfig:
    """Read config.json.

    Raises:
        ModelUnavailableError: names the directory and what is wrong.
    """
    config = _read_json(directory / CONFIG)
    try:
        return ModelConfig(
            labels=_labels(config.get("id2label")),
            max_tokens=_max_tokens(config, directory),
            is_multi_label=config.get("problem_type") == "multi_label_classification",
        )
    except ValueError as error:
        raise ModelUnavailableError(f"{directory / CONFIG}: {error}") from error


def model_hash(weights: Weights, form: str) -> str:
    """SHA-256 over config, tokenizer and one form of the weights with the files beside it, in hex.

    Reads a file again only when its size, time or inode has changed.

    Raises:
        ModelUnavailableError: a file cannot be read.
    """
    total = sha256()
    try:
        for path in _parts(weights.directory, form):
            facts = path.stat()
            digest = _file_sha256(path, facts.st_size, facts.st_mtime_ns, facts.st_ino)
            total.update(f"{len(path.name)}:{path.name}:".encode() + digest)
    except OSError as error:
        raise ModelUnavailableError(
            f"{weights.directory} cannot be read: {error.strerror}"
        ) from error
    return total.hexdigest()


@lru_cache(maxsize=REMEMBERED_FILES)
def _file_sha256(path: Path, _size: int, _mtime_ns: int, _inode: int) -> bytes:
    with path.open("rb") as file:
        return file_digest(file, "sha256").digest()


def _forms_in(directory: Path) -> tuple[str, ...]:
    return tuple(form for form in FORMS if (directory / form).is_file())


def _parts(directory: Path, form: str) -> Iterator[Path]:
    """The files that decide a verdict; ONNX keeps large tensors beside the model."""
    for pattern in (CONFIG, TOKENIZER, TOKENIZER_CONFIG, f"{form}*"):
        yield from sorted(path for path in directory.glob(pattern) if path.is_file())


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ModelUnavailableError(f"{path} cannot be read: {error.strerror}") from error
    try:
        value = json.loads(content) if len(content) <= MAX_CONFIG_BYTES else None
    except (ValueError, RecursionError) as error:
        raise ModelUnavailableError(f"{path} is no JSON") from error
    if not isinstance(value, dict):
        raise ModelUnavailableError(f"{path} is no JSON object of at most {MAX_CONFIG_BYTES} bytes")
    return value


def _labels(id2label: Any) -> tuple[str, ...]:
    if not isinstance(id2label, dict) or not id2label:
        raise ValueError("id2label is missing")
    labels: list[str] = []
    for number in range(len(id2label)):
        label = id2label.get(str(number))
        if not isinstance(label, str) or not label:
            raise ValueError(f"id2label must name the classes 0 to {len(id2label) - 1}")
        labels.append(label)
    if len({label.casefold() for label in labels}) != len(labels):
        raise ValueError("id2label names a class twice")
    return tuple(labels)


def _max_tokens(config: Mapping[str, Any], directory: Path) -> int:
    """The model's positions, or what its tokenizer was made for if that is less.

    Some architectures begin to count positions after the padding token. All are taken to do so:
    the others lose one or two places of 512.
    """
    path = directory / TOKENIZER_CONFIG
    limit = _count(_read_json(path).get("model_max_length")) if path.is_file() else None
    positions = _count(config.get("max_position_embeddings"))
    found = DEFAULT_MAX_TOKENS
    if positions is not None:
        found = positions - (_count(config.get("pad_token_id")) or 0) - 1
    return found if limit is None else min(found, limit)


def _count(value: Any) -> int | None:
    """A whole number that is meant; tokenizers write 1e30 for no limit."""
    return value if type(value) is int and value >= 0 else None
