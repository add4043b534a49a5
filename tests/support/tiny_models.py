"""Text classifiers of a few kilobytes in the real file formats, so that real loading code runs.

Building one takes well under a second after transformers has been imported once; callers keep it
for the session. Nothing is read from a hub.
"""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

Form = Literal["safetensors", "onnx", "onnx-int8"]
Architecture = Literal["bert", "deberta-v2", "roberta"]
Pieces = Literal["words", "pieces", "bytes"]

WORDS: tuple[str, ...] = (
    *("the", "a", "of", "and", "to", "in", "is", "it", "you", "that", "i", "how", "do", "."),
    *("ignore", "all", "previous", "instructions", "reveal", "system", "prompt", "please"),
    *("hello", "world", "write", "good", "code", "today", "nice", "stupid", "idiot"),
)
PAD, UNKNOWN, FIRST, LAST, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIALS = (PAD, UNKNOWN, FIRST, LAST, MASK)
HIDDEN = 32
SURE = 5.0
"""Logit of a sure answer; the others get its negative: the risk is above 0.99 or below 0.01."""


def write_classifier(
    directory: Path,
    *,
    labels: Sequence[str] = ("SAFE", "INJECTION"),
    verdict: str | None = None,
    trigger: str | None = None,
    form: Form = "safetensors",
    architecture: Architecture = "bert",
    pieces: Pieces = "words",
    multi_label: bool = False,
    max_length: int = 512,
    seed: int = 0,
) -> Path:
    """Write a classifier that our own loader and transformers' pipelines can read.

    Args:
        verdict: the label given to every text; None leaves random weights.
        trigger: a word; `verdict` is then given to texts that hold it as one token, and to all
            others the first label that is not `verdict`, or none if `multi_label`. Case matters.
        form: `model.safetensors`, `model.onnx` or `model.int8.onnx`.
        pieces: kind of tokenizer; a trigger needs `words`.

    Returns:
        The directory.
    """
    tokenizer = build_tokenizer(pieces, [*WORDS, *([trigger] if trigger else [])])
    torch = _torch()
    torch.manual_seed(seed)
    model = _build_model(architecture, tuple(labels), tokenizer.get_vocab_size(), max_length)
    if verdict is not None:
        sure = [SURE if label == verdict else -SURE for label in labels]
        position = tokenizer.token_to_id(trigger) if trigger else None
        quiet = [-SURE] * len(labels)
        if not multi_label:
            quiet[next(index for index, label in enumerate(labels) if label != verdict)] = SURE
        with torch.no_grad():
            _fix_answer(torch, model, sure)
            if position is not None:
                _listen_for(torch, model, position, sure, quiet)
    if multi_label:
        model.config.problem_type = "multi_label_classification"
    directory.mkdir(parents=True, exist_ok=True)
    save_tokenizer(tokenizer, directory, max_length)
    model.config.save_pretrained(directory)
    if form == "safetensors":
        model.save_pretrained(directory, safe_serialization=True)
    else:
        _export(torch, model, directory, quantized=form == "onnx-int8")
    return directory


def build_tokenizer(kind: Pieces, words: Sequence[str] = WORDS) -> Any:
    """A `tokenizers.Tokenizer` with special tokens for one text and for a pair.

    `words` knows whole words, `pieces` is SentencePiece-like (NFKC, a few pieces and all ASCII
    characters), `bytes` takes every byte of UTF-8 as a token.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    if kind == "words":
        vocabulary = {word: n for n, word in enumerate(dict.fromkeys((*SPECIALS, *words)))}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    elif kind == "pieces":
        characters = [chr(point) for point in range(33, 127)]
        scored = [(special, 0.0) for special in SPECIALS]
        scored += [("\u2581", -3.0), *((character, -9.0) for character in characters)]
        scored += [(piece, -4.0) for word in words for piece in (word, "\u2581" + word)]
        unique = list(dict(scored).items())
        tokenizer = Tokenizer(models.Unigram(unique, unk_id=1, byte_fallback=False))
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    else:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        vocabulary = {piece: n for n, piece in enumerate((*SPECIALS, *alphabet))}
        tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(list(SPECIALS))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{FIRST} $A {LAST}",
        pair=f"{FIRST} $A {LAST} $B:1 {LAST}:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (FIRST, LAST)],
    )
    return tokenizer


def _torch() -> Any:
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    import torch

    return torch


def _build_model(architecture: Architecture, labels: tuple[str, ...], words: int, size: int) -> Any:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    extra: dict[str, Any] = {}
    if architecture == "deberta-v2":
        extra = {
            "relative_attention": True,
            "position_buckets": 32,
            "pos_att_type": ["p2c", "c2p"],
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "position_biased_input": False,
            "type_vocab_size": 0,
        }
    elif architecture == "roberta":  # counts positions from the one after the padding token
        extra = {"type_vocab_size": 1}
    config = AutoConfig.for_model(
        architecture,
        vocab_size=words,
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * HIDDEN,
        max_position_embeddings=size + (architecture == "roberta"),
        pad_token_id=0,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        initializer_range=0.5,
        **extra,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # DeBERTa's code uses what torch calls old, at its import
        model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    return model.eval()


def _head(model: Any) -> Any:
    return getattr(model.classifier, "out_proj", model.classifier)


def _fix_answer(torch: Any, model: Any, sure: list[float]) -> None:
    _head(model).weight.zero_()
    _head(model).bias.copy_(torch.tensor(sure))


def _listen_for(torch: Any, model: Any, token: int, sure: list[float], quiet: list[float]) -> None:
    """Rebuild the network so that one token anywhere in the text turns the answer.

    Attention is uniform and passes on one dimension only, greatly enlarged: the token alone has
    something there. What follows carries that dimension to the classifier.
    """
    for name, weight in model.named_parameters():
        norm = "LayerNorm.weight" in name
        weight.fill_(1.0) if norm else weight.zero_()
    words = model.base_model.embeddings.word_embeddings.weight
    words[:, 0], words[:, 1] = 1.0, -1.0
    words[token] = 0.0
    words[token, 2], words[token, 3] = 1.0, -1.0
    for name, module in model.named_modules():
        if name.endswith((".self.value", ".self.value_proj")) and ".layer.0." in name:
            module.weight[2, 2] = 1e5
        if name.endswith(("attention.output.dense", "pooler.dense", "classifier.dense")):
            module.weight.copy_(torch.eye(HIDDEN))
    head = _head(model)
    head.bias.copy_(torch.tensor(quiet))
    head.weight[:, 2] = 4 * (torch.tensor(sure) - torch.tensor(quiet))


def save_tokenizer(tokenizer: Any, directory: Path, max_length: int) -> None:
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        pad_token=PAD,
        unk_token=UNKNOWN,
        cls_token=FIRST,
        sep_token=LAST,
        mask_token=MASK,
    ).save_pretrained(directory)


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
