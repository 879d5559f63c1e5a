"""CodeGen, CodeGen2 and GPT-J: llama.cpp has no graph for them, but phi2's computes the same."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jupyter_turbopilot.errors import ConversionError
from jupyter_turbopilot.models.convert.recipe import Builder, Recipe, TargetTensor, figures

if TYPE_CHECKING:
    from jupyter_turbopilot.models.convert.checkpoint import Checkpoint
    from jupyter_turbopilot.models.convert.weights import Array

IGNORED = (".attn.bias", ".attn.masked_bias", ".attn.causal_mask", ".attn.embed_positions")
CODEGEN_SHARDS = 4  # the query, value and key of all CodeGen models were trained on so many machines


def recipe(checkpoint: Checkpoint, shards: int = 0) -> Recipe:
    """Return the recipe for one of them."""
    config = checkpoint.config
    width, heads = config.whole("n_embd"), config.whole("n_head")
    rotary, layers = config.whole("rotary_dim"), config.whole("n_layer")
    inner = config.whole("n_inner", default=4 * width)
    config.only(activation_function="gelu_new")
    config.only(tie_word_embeddings=False)
    if width % heads or rotary % 2 or rotary > width // heads:
        raise ConversionError(
            f"config.json has an impossible attention: {heads} heads in {width}, {rotary} rotary dimensions."
        )
    made = Recipe(
        "phi2",
        config.whole("vocab_size"),
        figures(config.whole("n_positions"), width, layers, inner, heads, heads)
        | {
            "attention.layer_norm_epsilon": config.number("layer_norm_epsilon", default=1e-5),
            "rope.dimension_count": rotary,
        },
        ignored=IGNORED,
    )
    build = Builder(checkpoint, made)
    turn = partial(halves, heads=heads, rotary=rotary)
    build.take("token_embd.weight", "wte.weight", (made.rows, width))
    build.norm("output_norm", "ln_f", width)
    build.both("output", "lm_head", made.rows, width)
    for i in range(layers):
        to, at = f"blk.{i}", f"h.{i}"
        build.norm(f"{to}.attn_norm", f"{at}.ln_1", width)
        if checkpoint.find(f"{at}.attn.qkv_proj.weight"):
            fused = checkpoint.get(f"{at}.attn.qkv_proj.weight", (3 * width, width))
            count = _shards(checkpoint, shards)
            # Within a shard they stand in this order: query, value, key.
            for which, name, then in ((0, "q", turn), (1, "v", None), (2, "k", turn)):
                make = partial(_part, which=which, shards=count, then=then)
                made.tensors.append(TargetTensor(f"{to}.attn_{name}.weight", (width, width), (fused,), make))
        else:
            build.take(f"{to}.attn_q.weight", f"{at}.attn.q_proj.weight", (width, width), turn)
            build.take(f"{to}.attn_k.weight", f"{at}.attn.k_proj.weight", (width, width), turn)
            build.take(f"{to}.attn_v.weight", f"{at}.attn.v_proj.weight", (width, width))
        build.take(f"{to}.attn_output.weight", f"{at}.attn.out_proj.weight", (width, width))
        for name in ("q", "k", "v"):
            build.zeros(f"{to}.attn_{name}.bias", width)
        build.zeros(f"{to}.attn_output.bias", width)
        build.both(f"{to}.ffn_up", f"{at}.mlp.fc_in", inner, width)
        build.both(f"{to}.ffn_down", f"{at}.mlp.fc_out", width, inner)
    return made


def halves(matrix: Array, *, heads: int, rotary: int) -> Array:
    """Order the rows of each head's turned part as phi2 has them: it pairs halves, these neighbours."""
    size = matrix.shape[0] // heads
    order = np.arange(matrix.shape[0]).reshape(heads, size)
    turned = np.concatenate([np.arange(0, rotary, 2), np.arange(1, rotary, 2), np.arange(rotary, size)])
    return matrix[order[:, turned].reshape(-1)]


def _part(matrix: Array, *, which: int, shards: int, then: partial[Array] | None) -> Array:
    width = matrix.shape[1]
    part = matrix.reshape(shards, 3, width // shards, width)[:, which].reshape(width, width)
    return then(part) if then else part


def _shards(checkpoint: Checkpoint, configured: int) -> int:
    """Return across how many machines the attention was cut."""
    config = checkpoint.config
    width, heads = config.whole("n_embd"), config.whole("n_head")
    # CodeGen2 comes with code of its own, and its sizes differ in this without saying so.
    if not configured and "auto_map" in config.values:
        raise ConversionError(
            "A CodeGen2 model does not say how its attention is laid out: add --shards 8 for 1B and 3.7B. "
            "With a wrong number it would write nonsense."
        )
    shards = configured or CODEGEN_SHARDS
    if heads % shards:
        raise ConversionError(f"{heads} heads cannot have been cut into {shards} parts.")
    return shards if width % shards == 0 else 1
