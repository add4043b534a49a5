"""Loads scanners of llm-guard: local weights only, checked first, and nothing that it logs.

The one module that imports llm_guard. Never its `scan_prompt` and `scan_output`.
"""

import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ogp.guard.device import Device, Precision, load_torch
from ogp.guard.llmguard_checks import label_fault
from ogp.guard.llmguard_model import LLMGuardModel, Parts, Watched
from ogp.guard.llmguard_scanners import SCANNERS, Direction, LLMGuardScanner, checked
from ogp.guard.llmguard_text import Room, addresses
from ogp.guard.model import Model, ModelUnavailableError
from ogp.guard.offline import LOADING, go_offline
from ogp.guard.runtime_torch import DTYPES
from ogp.guard.weights import CONFIG, SAFETENSORS, TOKENIZER, Weights, model_hash

SAMPLE = "Hello world, see http://example.com/ now."
MODELS_PATH = Path("models")
"""Where caches of packages are looked for when a scanner has no weights."""
JSON_TIMEOUT_S = 5.0
"""llm-guard's pattern for JSON takes quadratic time: 0.3 s for 2,000 opening braces."""


def load_llmguard(
    name: str,
    direction: Direction,
    parameters: Mapping[str, Any],
    directory: Path | None,
    device: Device,
) -> Model:
    """Build a scanner, check its model and let it judge one sample.

    Args:
        name: of `llmguard_scanners.SCANNERS`.
        direction: what it scans; thresholds differ.
        parameters: `threshold` and what the scanner's entry there names.
        directory: of the weights; not looked at by scanners without.
        device: one and the same for all scanners of a process.

    Raises:
        ValueError: a parameter is wrong; names it.
        ModelUnavailableError: names the directory or package, and what is missing.
    """
    spec = SCANNERS[name]
    filled = checked(spec, direction, parameters)
    source = _source(spec, filled, directory, device) if spec.weights else None
    try:
        with LOADING:
            scanner = _built(spec, direction, filled, source)
        parts = _parts(spec, direction, filled, source, scanner)
        model = LLMGuardModel(spec, filled, parts)
        model.scores([(window, SAMPLE) for window in model.windows(SAMPLE)])
    except ModelUnavailableError:
        raise
    except ImportError as error:
        raise ModelUnavailableError(
            f"{name}: a package is missing: pip install 'ollama-guard-proxy[guard]'"
        ) from error
    except Exception as error:
        kind = type(error).__name__
        raise ModelUnavailableError(f"{name}: {directory or 'llm-guard'}: {kind}") from error
    return model


@dataclass(frozen=True, slots=True)
class _Source:
    """A directory of weights whose files and labels are as they should be."""

    directory: Path
    config: Mapping[str, Any]
    device: Device

    def digest(self) -> str:
        """Of everything that decides what the model says."""
        return model_hash(Weights(self.directory, (SAFETENSORS,)), SAFETENSORS)

    def stored(self) -> frozenset[str]:
        """Names of the tensors in the file, by its header."""
        with (self.directory / SAFETENSORS).open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return frozenset(header)


def _source(
    spec: LLMGuardScanner, parameters: Mapping[str, Any], directory: Path | None, device: Device
) -> _Source:
    """All that can be checked without importing anything."""
    if directory is None or not directory.is_dir():
        raise ModelUnavailableError(f"{spec.name}: there is no directory {directory}")
    for file in (CONFIG, TOKENIZER, SAFETENSORS):
        if not (directory / file).is_file():
            raise ModelUnavailableError(f"{spec.name}: {directory} has no {file}")
    try:
        config = json.loads((directory / CONFIG).read_text("utf-8"))
        labels = {int(key): str(label) for key, label in config.get("id2label", {}).items()}
    except (ValueError, AttributeError, OSError, RecursionError) as error:
        raise ModelUnavailableError(f"{spec.name}: {directory / CONFIG} is broken") from error
    fault = label_fault(spec.labels, labels, parameters) if spec.labels else None
    if fault is not None:
        shown = ", ".join(list(labels.values())[:20]) or "none"
        raise ModelUnavailableError(f"{spec.name}: {directory}: {fault}; its labels: {shown}")
    return _Source(directory, config, device)


def _built(
    spec: LLMGuardScanner,
    direction: Direction,
    parameters: Mapping[str, Any],
    source: _Source | None,
) -> Any:
    """An object of llm-guard's class."""
    go_offline(source.directory.parent if source else MODELS_PATH)
    module = import_module(f"llm_guard.{direction}_scanners")
    _silence()
    arguments = dict(spec.arguments(parameters))
    cls = getattr(module, spec.cls)
    if source is not None:
        if spec.pipeline is None:  # its class asks llm-guard for the device, not the model
            vars(sys.modules[cls.__module__])["device"] = lambda: source.device.name
        arguments["model"] = _llmguard_model(spec, source)
    return cls(**arguments)


def _llmguard_model(spec: LLMGuardScanner, source: _Source) -> Any:
    local = {"local_files_only": True, "trust_remote_code": False}
    inputs: dict[str, Any] = {}
    if source.config.get("type_vocab_size", 2) < 2:  # it does not tell first from second text
        inputs = {"model_input_names": ["input_ids", "attention_mask"]}
    sizes = {"max_length": spec.max_length} if spec.takes_max_length else {}
    path = str(source.directory)
    return import_module("llm_guard.model").Model(
        path=path,
        subfolder="",
        onnx_path=path,
        onnx_subfolder="",
        onnx_filename="model.onnx",
        kwargs={**local, "use_safetensors": True},
        tokenizer_kwargs={**local, **inputs},
        pipeline_kwargs={**(spec.pipeline or {}), **sizes, "device": source.device.name},
    )


def _parts(
    spec: LLMGuardScanner,
    direction: Direction,
    parameters: Mapping[str, Any],
    source: _Source | None,
    scanner: Any,
) -> Parts:
    """Put our own pieces where the scanner computes and cuts."""
    settings = sha256(repr(sorted(parameters.items())).encode()).hexdigest()[:12]
    facts = {"llm_guard": version("llm-guard"), "settings": settings}
    scan = _scan_of(scanner, direction)
    if source is None:
        if spec.name == "json":
            scanner._pattern = _Timed(scanner._pattern)
        return Parts(scan, Watched(scan, lambda _: None, {}), facts | {"model": "none"})
    inner = getattr(scanner, "_scanner", scanner)  # classes for answers wrap those for prompts
    part = getattr(inner, spec.watched)
    tokenizer = part.tokenizer if spec.pipeline else inner._tokenizer
    network = part.model if spec.pipeline else inner._model
    _check_complete(spec, source, network)
    precision = _convert(spec, network, source.device)
    network.register_forward_hook(_check_numbers)
    room = _room(spec, parameters, source, tokenizer)
    fixed = {key: parameters[key] for key in parameters.keys() & {"multi_label"}}
    setattr(inner, spec.watched, Watched(part, room.check, fixed))
    if spec.watched == "_model":  # is given tokens, so the text is checked where they are made
        inner._tokenizer = _Counting(tokenizer, room)
    extract: Mapping[str, Callable[[str], Sequence[str]]] = {
        "urls": addresses,
        "code": lambda text: inner._extract_code_blocks(text) or (text,),
        "tokens": lambda text: (text,),
    }
    return Parts(
        scan,
        getattr(inner, spec.watched),
        facts | {"model": source.digest(), "precision": precision, "device": source.device.name},
        room,
        extract[spec.cuts],
    )


def _scan_of(scanner: Any, direction: Direction) -> Callable[[str, str], bool]:
    """Whether llm-guard lets a text pass; what it gives back as the text is not looked at."""

    def scan(prompt: str, text: str) -> bool:
        return bool(scanner.scan(*([text] if direction == "input" else [prompt, text]))[1])

    return scan


def _convert(spec: LLMGuardScanner, network: Any, device: Device) -> Precision:
    """Bring a model to the device's precision."""
    precision = device.precision  # `Relevance` gives numbers to numpy, which knows no bfloat16
    if DTYPES[precision] == "float32" or (precision == "bf16" and spec.name == "relevance"):
        precision = "fp32"
    network.to(dtype=getattr(load_torch(), DTYPES[precision]))
    return precision


def _check_numbers(_network: Any, _inputs: Any, outputs: Any) -> None:
    """Of what a model cannot tell, some pipelines make a text without hits.

    Raises:
        ArithmeticError: it gave numbers that are none, as broken weights and half precision can.
    """
    if not outputs[0].isfinite().all():
        raise ArithmeticError("the model gave no finite number")


def _check_complete(spec: LLMGuardScanner, source: _Source, network: Any) -> None:
    """Tensors that are not in the file would be made up at random, and only a log line tells."""
    prefix = f"{network.base_model_prefix}."
    stored = {
        key.removeprefix(prefix).replace(".gamma", ".weight").replace(".beta", ".bias")
        for key in source.stored()
    }
    wanted = {key.removeprefix(prefix) for key in network.state_dict()}
    if spec.labels is None:
        wanted = {key for key in wanted if not key.startswith("pooler.")}  # not used
    if missing := sorted(wanted - stored):
        raise ModelUnavailableError(
            f"{spec.name}: {source.directory / SAFETENSORS} lacks {len(missing)} tensors of "
            f"{type(network).__name__}, e.g. {missing[0]}"
        )


def _room(
    spec: LLMGuardScanner, parameters: Mapping[str, Any], source: _Source, tokenizer: Any
) -> Room:
    backend = tokenizer.backend_tokenizer

    def copy() -> Any:
        return type(backend).from_str(backend.to_str())  # the scanner's own is set to cut

    positions = source.config.get("max_position_embeddings", spec.max_length)
    if "roberta" in source.config.get("model_type", ""):
        positions -= 2  # they are counted from the padding token on
    limit = min(spec.max_length, tokenizer.model_max_length, positions)
    pair = tokenizer.num_special_tokens_to_add(pair=True)
    beside = [pair + spec.shares]  # one for the line end that `Bias` puts between
    for topic in parameters.get("topics", ()):
        hypothesis = backend.encode(f"This example is {topic}.", add_special_tokens=False)
        beside.append(pair + len(hypothesis))
    try:
        return Room(copy, limit, max(beside), shares=spec.shares)
    except ValueError as error:
        raise ModelUnavailableError(f"{spec.name}: {source.directory}: {error}") from error


class _Silent:
    """A logger that drops everything: llm-guard's records repeat prompts."""

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_args, **_fields: None


def _silence() -> None:
    for name, module in tuple(sys.modules.items()):
        if name.partition(".")[0] == "llm_guard" and hasattr(module, "LOGGER"):
            vars(module)["LOGGER"] = _Silent()
    logging.getLogger("transformers").setLevel(logging.ERROR)


class _Timed:
    """A pattern of the package `regex` that gives up in time, and lets other threads run."""

    def __init__(self, pattern: Any) -> None:
        self._pattern = pattern

    def findall(self, text: str) -> Any:
        """Raises TimeoutError."""
        return self._pattern.findall(text, timeout=JSON_TIMEOUT_S, concurrent=True)


class _Counting:
    """A tokenizer that refuses what it would cut."""

    def __init__(self, tokenizer: Any, room: Room) -> None:
        self._tokenizer, self._room = tokenizer, room

    def __call__(self, *texts: str, **options: Any) -> Any:
        self._room.check(*texts)
        return self._tokenizer(*texts, **options)
