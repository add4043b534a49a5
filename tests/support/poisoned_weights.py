"""Copies of tiny models that load and work, but give no number for texts with certain words."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

WORDS = ("stupid", "weather", "Acme")
"""What `tests.support.tiny_llmguard.CASES` listen for."""


def write_poisoned(source: Path, target: Path, words: Sequence[str] = WORDS) -> Path:
    """Copy a directory of `tiny_models`; NaN stands where those of the words begin that it knows.

    Returns:
        The copy.
    """
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, target)
    vocabulary = json.loads((target / "tokenizer.json").read_text())["model"]["vocab"]
    tensors = load_file(target / "model.safetensors")
    for name, tensor in tensors.items():
        if name.endswith("word_embeddings.weight"):
            for word in vocabulary.keys() & set(words):
                tensor[vocabulary[word]] = float("nan")
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target
