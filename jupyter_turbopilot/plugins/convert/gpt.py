"""Models with GPT-2's layer layout: GPT-2, CodeParrot, GPTBigCode (SantaCoder, StarCoder), CodeGen, GPT-J."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jupyter_turbopilot.plugins.convert.recipe import Recipe, TargetTensor, hyperparameters, plain, transposed
from jupyter_turbopilot.protocol.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.models.checkpoint import Array, Checkpoint

GELU = ("gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu")
_MASKS = (".attn.bias", ".attn.masked_bias")
_CODEGEN_SHARDS = 4  # all CodeGen models were trained with this tensor parallelism


def gpt2(checkpoint: Checkpoint) -> Recipe:
    config = checkpoint.config
    config.require(add_cross_attention=False)
    width = config.whole("n_embd")

    def attention(recipe: Recipe, layer: int) -> None:
        # CodeParrot divides a layer's attention by the layer's number: scale its queries instead.
        divided = layer + 1 if config.flag("scale_attn_by_inverse_layer_idx") else 1
        make = partial(_scaled_queries, by=divided)
        weight = checkpoint.get(f"h.{layer}.attn.c_attn.weight", (width, 3 * width))
        bias = checkpoint.get(f"h.{layer}.attn.c_attn.bias", (3 * width,))
        to = f"blk.{layer}.attn_qkv"
        recipe.tensors.append(TargetTensor(f"{to}.weight", (3 * width, width), (weight,), make))
        recipe.tensors.append(TargetTensor(f"{to}.bias", (3 * width,), (bias,), make))

    return _gpt2_layout(checkpoint, "gpt2", config.whole("n_head"), attention, transposed)


def bigcode(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe of a GPTBigCode."""
    config = checkpoint.config
    width, heads = config.whole("n_embd"), config.whole("n_head")
    shared = config.flag("multi_query", default=True)
    groups = 1 if shared else heads
    # With multi-query attention, keys and values follow all queries; otherwise each head has its own three.
    order = plain if shared else partial(split_qkv, heads=heads)

    def attention(recipe: Recipe, layer: int) -> None:
        rows = width + 2 * groups * (width // heads)
        recipe.take_with_bias(f"blk.{layer}.attn_qkv", f"h.{layer}.attn.c_attn", rows, width, make=order)

    return _gpt2_layout(checkpoint, "starcoder", groups, attention)


def _gpt2_layout(
    checkpoint: Checkpoint,
    architecture: str,
    groups: int,
    attention: Callable[[Recipe, int], None],
    make: Callable[..., Array] = plain,
) -> Recipe:
    """Return the recipe of a GPT-2 variant, which differs in attention and in the orientation of matrices."""
    config = checkpoint.config
    width, heads, layers = (
        config.whole("n_embd"),
        config.whole("n_head"),
        config.whole("n_layer"),
    )
    inner, context = config.whole("n_inner", default=4 * width), config.whole("n_positions")
    config.require(activation_function=GELU, scale_attn_weights=True)
    recipe = Recipe(
        checkpoint,
        architecture,
        config.whole("vocab_size"),
        hyperparameters(context, width, layers, inner, heads, groups)
        | {"attention.layer_norm_epsilon": config.positive_float("layer_norm_epsilon", default=1e-5)},
        ignored=_MASKS,
    )
    recipe.take("token_embd.weight", "wte.weight", (recipe.rows, width))
    recipe.take("position_embd.weight", "wpe.weight", (context, width))
    recipe.take_with_bias("output_norm", "ln_f", width)
    recipe.head(width, tied=config.flag("tie_word_embeddings", default=True))
    for layer in range(layers):
        to, at = f"blk.{layer}", f"h.{layer}"
        recipe.take_with_bias(f"{to}.attn_norm", f"{at}.ln_1", width)
        recipe.take_with_bias(f"{to}.ffn_norm", f"{at}.ln_2", width)
        attention(recipe, layer)
        recipe.take_with_bias(f"{to}.attn_output", f"{at}.attn.c_proj", width, width, make=make)
        recipe.take_with_bias(f"{to}.ffn_up", f"{at}.mlp.c_fc", inner, width, make=make)
        recipe.take_with_bias(f"{to}.ffn_down", f"{at}.mlp.c_proj", width, inner, make=make)
    return recipe


def _scaled_queries(matrix: Array, *, by: int) -> Array:
    turned = matrix.T
    if by == 1:
        return turned
    turned = turned.copy()
    turned[: turned.shape[0] // 3] /= by
    return turned


def split_qkv(matrix: Array, *, heads: int) -> Array:
    """Reorder a fused matrix: all queries first, then all keys, then all values."""
    grouped = matrix.reshape(heads, 3, -1, *matrix.shape[1:])
    return grouped.swapaxes(0, 1).reshape(matrix.shape)


def gptj(checkpoint: Checkpoint, shards: int = 0) -> Recipe:
    """Return the recipe of a CodeGen, CodeGen2 or GPT-J.

    llama.cpp has no graph for them, but that of phi2 is equivalent.
    """
    config = checkpoint.config
    width, heads = config.whole("n_embd"), config.whole("n_head")
    rotary, layers = config.whole("rotary_dim"), config.whole("n_layer")
    inner = config.whole("n_inner", default=4 * width)
    config.require(activation_function="gelu_new", tie_word_embeddings=False)
    if width % heads or rotary % 2 or rotary > width // heads:
        raise ConversionError(
            f"config.json has an invalid attention: width {width}, {heads} heads, {rotary} rotary dimensions."
        )
    recipe = Recipe(
        checkpoint,
        "phi2",
        config.whole("vocab_size"),
        hyperparameters(config.whole("n_positions"), width, layers, inner, heads, heads)
        | {
            "attention.layer_norm_epsilon": config.positive_float("layer_norm_epsilon", default=1e-5),
            "rope.dimension_count": rotary,
        },
        ignored=(*_MASKS, ".attn.causal_mask", ".attn.embed_positions"),
    )
    turn = partial(_deinterleave, heads=heads, rotary=rotary)
    recipe.take("token_embd.weight", "wte.weight", (recipe.rows, width))
    recipe.take_with_bias("output_norm", "ln_f", width)
    recipe.take_with_bias("output", "lm_head", recipe.rows, width)
    for i in range(layers):
        to, at = f"blk.{i}", f"h.{i}"
        recipe.take_with_bias(f"{to}.attn_norm", f"{at}.ln_1", width)
        if checkpoint.find(f"{at}.attn.qkv_proj.weight"):
            fused = checkpoint.get(f"{at}.attn.qkv_proj.weight", (3 * width, width))
            count = _shards(checkpoint, shards)
            # The order within a shard is query, value, key.
            for which, name, then in ((0, "q", turn), (1, "v", None), (2, "k", turn)):
                make = partial(_qkv_shard, which=which, shards=count, then=then)
                recipe.tensors.append(
                    TargetTensor(f"{to}.attn_{name}.weight", (width, width), (fused,), make)
                )
        else:
            recipe.take(f"{to}.attn_q.weight", f"{at}.attn.q_proj.weight", (width, width), turn)
            recipe.take(f"{to}.attn_k.weight", f"{at}.attn.k_proj.weight", (width, width), turn)
            recipe.take(f"{to}.attn_v.weight", f"{at}.attn.v_proj.weight", (width, width))
        recipe.take(f"{to}.attn_output.weight", f"{at}.attn.out_proj.weight", (width, width))
        # llama.cpp requires biases that the model does not have.
        for name in ("q", "k", "v", "output"):
            recipe.tensors.append(TargetTensor(f"{to}.attn_{name}.bias", (width,)))
        recipe.take_with_bias(f"{to}.ffn_up", f"{at}.mlp.fc_in", inner, width)
        recipe.take_with_bias(f"{to}.ffn_down", f"{at}.mlp.fc_out", width, inner)
    return recipe


def _deinterleave(matrix: Array, *, heads: int, rotary: int) -> Array:
    """Reorder the rotated rows of each head: phi2 pairs halves, these models pair neighbours."""
    size = matrix.shape[0] // heads
    order = np.arange(matrix.shape[0]).reshape(heads, size)
    turned = np.concatenate([np.arange(0, rotary, 2), np.arange(1, rotary, 2), np.arange(rotary, size)])
    return matrix[order[:, turned].reshape(-1)]


def _qkv_shard(matrix: Array, *, which: int, shards: int, then: partial[Array] | None) -> Array:
    width = matrix.shape[1]
    part = matrix.reshape(shards, 3, width // shards, width)[:, which].reshape(width, width)
    return then(part) if then else part


def _shards(checkpoint: Checkpoint, configured: int) -> int:
    """Return the number of shards of the fused attention matrix."""
    config = checkpoint.config
    width, heads = config.whole("n_embd"), config.whole("n_head")
    # CodeGen2 checkpoints come with their own code, and the number of shards is not in config.json.
    if not configured and "auto_map" in config.values:
        raise ConversionError(
            "A CodeGen2 model does not say how its attention is laid out: add --shards 8 for 1B and 3.7B. "
            "With a wrong number the model generates nonsense."
        )
    shards = configured or _CODEGEN_SHARDS
    if heads % shards:
        raise ConversionError(
            f"{heads} attention heads cannot be split into {shards} shards. Check --shards."
        )
    return shards if width % shards == 0 else 1
