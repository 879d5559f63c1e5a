"""Small character-level models: random initial weights, and files of trained models for browsers.

They have Llama's architecture. Browsers load a Q8_0 file that is listed in models.json.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.plugins.convert.quantize import kinds, order, quantize
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.util.files import replace_content, sha256_of, size_of

if TYPE_CHECKING:
    from pathlib import Path

TEXT = [9, 10, 26, *range(32, 127)]  # 26 represents any other character
ROWS = 128
_TYPE, _LIST = "Q8_0", "models.json"
_PRIVATE = 0xE000  # start of the control tokens' names, in a private use area


@dataclass(frozen=True)
class Shape:
    """The hyperparameters of the model."""

    width: int = 288
    layers: int = 6
    heads: int = 6
    length: int = 2048

    @property
    def inner(self) -> int:
        """The feed-forward width: 8/3 of the width, rounded up to whole blocks."""
        return -(-self.width * 8 // 3 // 32) * 32

    def check(self) -> None:
        """Raise an error for an invalid shape."""
        if self.width % (2 * self.heads) or self.width % 32:
            raise BadRequestError(
                f"--width must be a multiple of 32 and of {2 * self.heads} (twice --heads), not {self.width}."
            )


def write_blank(path: Path, shape: Shape, seed: int = 1) -> Path:
    """Write a character-level model with random weights in GGUF format."""
    import gguf

    shape.check()
    names = [chr(byte if byte > ord(" ") else 256 + byte) for byte in TEXT]  # as GPT-2 spells bytes
    names += [chr(_PRIVATE + number) for number in range(ROWS - len(TEXT))]
    first = len(TEXT)
    kinds = [gguf.TokenType.NORMAL] * first + [gguf.TokenType.CONTROL] * (ROWS - first)
    out = gguf.GGUFWriter(path, "llama")
    out.add_name("characters")
    out.add_file_type(1)
    out.add_context_length(shape.length)
    out.add_embedding_length(shape.width)
    out.add_block_count(shape.layers)
    out.add_feed_forward_length(shape.inner)
    out.add_head_count(shape.heads)
    out.add_head_count_kv(shape.heads)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_rope_dimension_count(shape.width // shape.heads)
    out.add_vocab_size(ROWS)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(names)
    out.add_token_types(kinds)
    never = chr(_PRIVATE + ROWS)
    out.add_token_merges([f"{never} {never}"])  # llama.cpp requires the list
    out.add_eos_token_id(first)
    out.add_add_bos_token(value=False)
    for number, name in enumerate(("fim_pre", "fim_suf", "fim_mid"), first + 1):
        out.add_uint32(f"tokenizer.ggml.{name}_token_id", number)
    rng = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, scale: float = 1.0) -> Any:
        values = rng.standard_normal((rows, columns)) * scale / np.sqrt(columns)
        return values.astype(np.float16)

    deep = 1 / np.sqrt(2 * shape.layers)  # keeps the residual stream's variance constant
    out.add_tensor("token_embd.weight", matrix(ROWS, shape.width))
    out.add_tensor("output_norm.weight", np.ones(shape.width, np.float32))
    for layer in range(shape.layers):
        at = f"blk.{layer}"
        for name in ("attn_norm", "ffn_norm"):
            out.add_tensor(f"{at}.{name}.weight", np.ones(shape.width, np.float32))
        for name in ("attn_q", "attn_k", "attn_v"):
            out.add_tensor(f"{at}.{name}.weight", matrix(shape.width, shape.width))
        out.add_tensor(f"{at}.attn_output.weight", matrix(shape.width, shape.width, deep))
        for name in ("ffn_gate", "ffn_up"):
            out.add_tensor(f"{at}.{name}.weight", matrix(shape.inner, shape.width))
        out.add_tensor(f"{at}.ffn_down.weight", matrix(shape.width, shape.inner, deep))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return path


def read_model_list(model: Path) -> dict[str, Any]:
    """Return the list in a model's folder, or an empty one; raise an error if it is invalid."""
    path = model.with_name(_LIST)
    if not path.exists():
        return {"models": []}
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BadRequestError(f"{path} cannot be read: {error}. Correct it, or move it elsewhere.") from None
    if not isinstance(kept, dict) or not isinstance(kept.get("models", []), list):
        raise BadRequestError(f"{path} is not a list of models. Correct it, or move it elsewhere.")
    return {"models": []} | kept


def write_for_browsers(model: Path, language: str = "") -> Path:
    """Quantise a model and add it to the list in its folder; return the list's path."""
    kept = read_model_list(model)
    target = model.with_stem(f"{model.stem}-q8")
    quantize(order(model, target, _TYPE, kinds(), force=False), machine.threads())
    entry: dict[str, Any] = {
        "name": model.stem,
        "url": quote(target.name),
        "sha256": sha256_of(target),
        "size": size_of(target),
    }
    if language:
        entry["language"] = language
    models = kept["models"]
    same = (n for n, one in enumerate(models) if isinstance(one, dict) and one.get("url") == entry["url"])
    if (at := next(same, None)) is None:
        models.append(entry)
    else:
        models[at] |= entry  # keeps other keys, for example a licence
    path = model.with_name(_LIST)
    replace_content(path, (json.dumps(kept, indent=2) + "\n").encode())
    return path
