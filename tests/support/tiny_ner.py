"""Token classifiers of a few kilobytes in the real file formats, that tag words they are told.

What a word is depends on its embedding alone: the network around it passes that on unchanged.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tests.support.tiny_models import HIDDEN, WORDS, Pieces, build_tokenizer, save_tokenizer

LABELS: tuple[str, ...] = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG", "B-MISC")
NAMES: Mapping[str, str] = {
    "Ada": "B-PER",
    "Lovelace": "I-PER",
    "Grace": "B-PER",
    "Paris": "B-LOC",
    "Acme": "B-ORG",
    "Esperanto": "B-MISC",
}
"""Words and their classes; case matters."""
Form = Literal["safetensors", "onnx", "onnx-int8"]
SURE = 5.0
"""Logit of the class that is right; the others are near 0."""


def write_ner(
    directory: Path,
    *,
    labels: Sequence[str] = LABELS,
    names: Mapping[str, str] = NAMES,
    form: Form = "safetensors",
    pieces: Pieces = "words",
    max_length: int = 512,
) -> Path:
    """Write a model that gives each of `names` its label, and the first label to all other tokens.

    Args:
        pieces: kind of tokenizer; `bytes` knows no words, hence tags nothing.

    Returns:
        The directory.
    """
    import torch

    tokenizer = build_tokenizer(pieces, [*WORDS, *names])
    model = _build_model(tuple(labels), tokenizer.get_vocab_size(), max_length)
    known = {tokenizer.token_to_id(word): labels.index(label) for word, label in names.items()}
    known.pop(None, None)
    with torch.no_grad():
        _listen(torch, model, known)
    directory.mkdir(parents=True, exist_ok=True)
    save_tokenizer(tokenizer, directory, max_length)
    model.config.save_pretrained(directory)
    if form == "safetensors":
        model.save_pretrained(directory, safe_serialization=True)
    else:
        _export(torch, model, directory, quantized=form == "onnx-int8")
    return directory


def _build_model(labels: tuple[str, ...], words: int, size: int) -> Any:
    from transformers import AutoConfig, AutoModelForTokenClassification

    config = AutoConfig.for_model(
        "bert",
        vocab_size=words,
        hidden_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=2 * HIDDEN,
        max_position_embeddings=size + 1,
        pad_token_id=0,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    model = AutoModelForTokenClassification.from_config(config, attn_implementation="eager")
    return model.eval()


def _listen(torch: Any, model: Any, known: Mapping[int, int]) -> None:
    """Each class is one dimension of the embeddings; its opposite keeps their mean at zero."""
    for name, weight in model.named_parameters():
        weight.fill_(1.0) if "LayerNorm.weight" in name else weight.zero_()
    words = model.base_model.embeddings.word_embeddings.weight
    half = HIDDEN // 2
    for token in range(len(words)):
        label = known.get(token, 0)
        words[token, label], words[token, half + label] = 1.0, -1.0
    for label in range(model.config.num_labels):
        model.classifier.weight[label, label] = SURE / 4


def _export(torch: Any, model: Any, directory: Path, *, quantized: bool) -> None:
    whole, small = directory / "model.onnx", directory / "model.int8.onnx"
    axes = {name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask")}
    sample = torch.ones(1, 8, dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter calls itself old
        torch.onnx.export(
            model,
            (sample, sample),
            str(whole),
            input_names=list(axes),
            output_names=["logits"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
        if quantized:
            from onnxruntime.quantization import QuantType, quantize_dynamic

            quantize_dynamic(whole, small, weight_type=QuantType.QInt8)
            whole.unlink()
