"""Write a tiny GGUF that llama.cpp really loads: llama architecture, byte vocabulary, random weights."""

import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np

EMBED, LAYERS, HEADS, FEED, CONTEXT = 64, 2, 4, 128, 1024
CONTROL = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"]
ASCII = 128


def byte_alphabet() -> list[str]:
    """Return GPT-2's printable character for each of the 256 bytes."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    found, extra = {}, 0
    for byte in range(256):
        if byte in plain:
            found[byte] = chr(byte)
        else:
            found[byte] = chr(256 + extra)
            extra += 1
    return [found[byte] for byte in range(256)]


def learn_merges(text: str, count: int) -> list[tuple[str, str]]:
    """Return the most frequent pairs of a text, also across words and lines."""
    alphabet = byte_alphabet()
    found, row = [], [alphabet[byte] for byte in text.encode()]
    for _ in range(count):
        left, right = Counter(pairwise(row)).most_common(1)[0][0]
        found.append((left, right))
        at, merged = 0, []
        while at < len(row):
            both = row[at : at + 2] == [left, right]
            merged.append(left + right if both else row[at])
            at += 1 + both
        row = merged
    return found


def write_tiny_model(
    path: Path,
    *,
    fim: bool = True,
    seed: int = 1,
    pre: str = "gpt-2",
    merges: Sequence[tuple[str, str]] = (),
    chat_template: str = "",
    ascii_only: bool = False,
) -> Path:
    """Write the model and return its path. `ascii_only`: the likeliest token is always ASCII."""
    tokens = byte_alphabet() + CONTROL
    tokens += list(dict.fromkeys(left + right for left, right in merges))
    kinds = [gguf.TokenType.NORMAL] * len(tokens)
    kinds[256 : 256 + len(CONTROL)] = [gguf.TokenType.CONTROL] * len(CONTROL)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    # llama.cpp requires at least one merge; this one never applies.
    writer.add_token_merges([f"{left} {right}" for left, right in merges] or [f"{tokens[0]} {tokens[0]}"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(256)
    writer.add_add_bos_token(False)
    if chat_template:
        writer.add_chat_template(chat_template)
    if fim:
        writer.add_uint32("tokenizer.ggml.fim_pre_token_id", 257)
        writer.add_uint32("tokenizer.ggml.fim_mid_token_id", 258)
        writer.add_uint32("tokenizer.ggml.fim_suf_token_id", 259)
    _add_weights(writer, len(tokens), seed, likely=ASCII if ascii_only else len(tokens))
    return path


def write_sentence_pieces(path: Path, merges: Sequence[tuple[str, str]]) -> Path:
    """Write a tiny model with a SentencePiece vocabulary and return its path."""
    alphabet = {character: byte for byte, character in enumerate(byte_alphabet())}
    texts = [bytes(map(alphabet.__getitem__, left + right)).decode("ascii") for left, right in merges]
    pieces = [text.replace(" ", "▁") for text in texts if "\n" not in text]
    pieces += ["▁", *map(chr, range(0x21, 0x7F))]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *dict.fromkeys(pieces)]
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * 256]
    kinds += [gguf.TokenType.NORMAL] * (len(tokens) - len(kinds))
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_scores([-float(number) for number in range(len(tokens))])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    _add_weights(writer, len(tokens), 1, likely=len(tokens))
    return path


def _add_weights(writer: gguf.GGUFWriter, size: int, seed: int, *, likely: int) -> None:
    """Write the metadata and weights; only the first `likely` tokens have nonzero logits."""
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(EMBED)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(EMBED // HEADS)
    writer.add_vocab_size(size)
    rng = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * 0.3).astype(np.float32)

    writer.add_tensor("token_embd.weight", weights(size, EMBED))
    writer.add_tensor("output_norm.weight", np.ones(EMBED, dtype=np.float32))
    output = weights(size, EMBED)
    output[likely:] = 0
    writer.add_tensor("output.weight", output)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{block}.{name}.weight", np.ones(EMBED, dtype=np.float32))
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"{block}.{name}.weight", weights(EMBED, EMBED))
        for name in ("ffn_gate", "ffn_up"):
            writer.add_tensor(f"{block}.{name}.weight", weights(FEED, EMBED))
        writer.add_tensor(f"{block}.ffn_down.weight", weights(EMBED, FEED))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    write_tiny_model(Path(sys.argv[1]))
