"""What a checkpoint takes: the bytes of its weights, of each token's keys and values, and for computing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.load.plan import DEFAULT_CONTEXT, Sizes
from jupyter_turbopilot.engine.transformers.packages import import_package
from jupyter_turbopilot.errors import ModelRefusedError
from jupyter_turbopilot.models.convert.checkpoint import find_tensors
from jupyter_turbopilot.models.convert.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}
COMPUTE_BYTES = 128 * 1024**2  # what PyTorch takes while it computes, as estimated for small models
TOKEN_BYTES = 768  # for each token of the vocabulary: rows of logits, their copies, the table of bytes


def sizes_of(folder: Path, said: dict[str, Any], dtype: str, bits: int, *, quantized: bool) -> Sizes:
    """Estimate what a checkpoint takes; `said` is its config.json."""
    return Sizes(
        trained=_trained(said),
        weights=_weight_bytes(folder, WIDTHS[dtype], bits, quantized=quantized),
        token=_token_bytes(folder, WIDTHS[dtype]),
        compute=COMPUTE_BYTES + TOKEN_BYTES * Config(said | _text(said)).whole("vocab_size"),
    )


def _weight_bytes(folder: Path, width: int, bits: int, *, quantized: bool) -> int:
    """Return what the weights will take."""
    tensors = find_tensors(folder)
    if quantized:  # they stay as they are, beside tables that are not listed
        return sum(path.stat().st_size for path in {tensor.path for tensor in tensors.values()})
    return sum(
        math.prod(tensor.shape) * bits // 8
        if bits and len(tensor.shape) == 2 and not _is_table(name)  # noqa: PLR2004 - a matrix
        else math.prod(tensor.shape) * width
        for name, tensor in tensors.items()
    )


def _is_table(name: str) -> bool:
    """Tell whether a tensor holds a row for each token or place: those are not quantized."""
    return any(word in name for word in ("embed", "wte", "wpe", "lm_head"))


def _text(said: dict[str, Any]) -> dict[str, Any]:
    """Return what a model that takes more than text says of its part for text."""
    text = said.get("text_config")
    return text if isinstance(text, dict) else {}


def _read_config(folder: Path) -> Any:
    """Read config.json as transformers does: it knows the names that each family uses."""
    transformers = import_package("transformers")
    try:
        config = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        return config.get_text_config(decoder=True)
    except Exception as error:  # noqa: BLE001 - nonsense in the file raises whatever it likes
        raise ModelRefusedError(f"config.json cannot be used ({type(error).__name__}).") from None


def _numbers(config: Any, *names: str) -> Iterator[int]:
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            yield value


def _token_bytes(folder: Path, width: int) -> int:
    """Return what the keys and values of one token take, at most."""
    config = _read_config(folder)
    heads = next(_numbers(config, "num_attention_heads"), 1)
    shared = 1 if getattr(config, "multi_query", False) else heads
    kept = next(_numbers(config, "num_key_value_heads"), shared)
    size = next(_numbers(config, "head_dim"), next(_numbers(config, "hidden_size"), 1) // heads)
    return 2 * next(_numbers(config, "num_hidden_layers"), 1) * kept * size * width


def _trained(said: dict[str, Any]) -> int:
    """Return how long the texts were that a model was trained with."""
    values = said | _text(said)
    for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"):
        if isinstance(values.get(name), int):
            return Config(values).whole(name)
    return DEFAULT_CONTEXT
