"""Writes a llama model of random weights, half a megabyte: python write_model.py PATH [SEED]."""

import sys

import gguf
import numpy as np

WIDTH, LAYERS, HEADS, FEED_FORWARD, CONTEXT = 64, 2, 4, 128, 2048
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,\u2581"


def vocabulary() -> tuple[list[str], list[int]]:
    """Tokens and their kinds: three of control, one for each byte, and letters."""
    kinds = gguf.TokenType
    tokens = [("<unk>", kinds.UNKNOWN), ("<s>", kinds.CONTROL), ("</s>", kinds.CONTROL)]
    tokens += [(f"<0x{byte:02X}>", kinds.BYTE) for byte in range(256)]
    tokens += [(letter, kinds.NORMAL) for letter in LETTERS]
    return [text for text, _ in tokens], [int(kind) for _, kind in tokens]


def shapes(words: int) -> dict[str, tuple[int, ...]]:
    """Every tensor by its name, rows first."""
    found: dict[str, tuple[int, ...]] = {
        "token_embd": (words, WIDTH),
        "output": (words, WIDTH),
        "output_norm": (WIDTH,),
    }
    for layer in range(LAYERS):
        for name in ("attn_norm", "ffn_norm"):
            found[f"blk.{layer}.{name}"] = (WIDTH,)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            found[f"blk.{layer}.{name}"] = (WIDTH, WIDTH)
        for name in ("ffn_gate", "ffn_up"):
            found[f"blk.{layer}.{name}"] = (FEED_FORWARD, WIDTH)
        found[f"blk.{layer}.ffn_down"] = (WIDTH, FEED_FORWARD)
    return found


def write(path: str, seed: int) -> None:
    tokens, kinds = vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(index) for index in range(len(tokens))])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    chance = np.random.default_rng(seed)
    for name, shape in shapes(len(tokens)).items():
        weights = np.ones(shape) if name.endswith("norm") else chance.normal(0, 0.3, shape)
        writer.add_tensor(f"{name}.weight", weights.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


write(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
