"""GPT-2: CodeParrot and others of its shape."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.convert.recipe import Builder, Recipe, TargetTensor, figures, plain, transposed

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.models.convert.checkpoint import Checkpoint
    from jupyter_turbopilot.models.convert.weights import Array

GELU = ("gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu")


def recipe(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe."""
    config = checkpoint.config
    config.only(add_cross_attention=False)
    width = config.whole("n_embd")

    def attention(build: Builder, layer: int) -> None:
        # CodeParrot divides a layer's attention by the layer's number; the queries can carry that.
        divided = layer + 1 if config.flag("scale_attn_by_inverse_layer_idx") else 1
        make = partial(_queries_divided, by=divided)
        weight = checkpoint.get(f"h.{layer}.attn.c_attn.weight", (width, 3 * width))
        bias = checkpoint.get(f"h.{layer}.attn.c_attn.bias", (3 * width,))
        to = f"blk.{layer}.attn_qkv"
        build.recipe.tensors.append(TargetTensor(f"{to}.weight", (3 * width, width), (weight,), make))
        build.recipe.tensors.append(TargetTensor(f"{to}.bias", (3 * width,), (bias,), make))

    return shaped(checkpoint, "gpt2", config.whole("n_head"), attention, transposed)


def shaped(
    checkpoint: Checkpoint,
    architecture: str,
    groups: int,
    attention: Callable[[Builder, int], None],
    make: Callable[..., Array] = plain,
) -> Recipe:
    """Return the recipe of what is a GPT-2 but for its attention and how matrices are stored."""
    config = checkpoint.config
    width, heads, layers = config.whole("n_embd"), config.whole("n_head"), config.whole("n_layer")
    inner, context = config.whole("n_inner", default=4 * width), config.whole("n_positions")
    config.only(activation_function=GELU)
    config.only(scale_attn_weights=True)
    made = Recipe(
        architecture,
        config.whole("vocab_size"),
        figures(context, width, layers, inner, heads, groups)
        | {"attention.layer_norm_epsilon": config.number("layer_norm_epsilon", default=1e-5)},
        ignored=(".attn.bias", ".attn.masked_bias"),
    )
    build = Builder(checkpoint, made)
    build.take("token_embd.weight", "wte.weight", (made.rows, width))
    build.take("position_embd.weight", "wpe.weight", (context, width))
    build.norm("output_norm", "ln_f", width)
    build.head(width, tied=config.flag("tie_word_embeddings", default=True))
    for layer in range(layers):
        to, at = f"blk.{layer}", f"h.{layer}"
        build.norm(f"{to}.attn_norm", f"{at}.ln_1", width)
        build.norm(f"{to}.ffn_norm", f"{at}.ln_2", width)
        attention(build, layer)
        build.both(f"{to}.attn_output", f"{at}.attn.c_proj", width, width, make)
        build.both(f"{to}.ffn_up", f"{at}.mlp.c_fc", inner, width, make)
        build.both(f"{to}.ffn_down", f"{at}.mlp.c_proj", width, inner, make)
    return made


def _queries_divided(matrix: Array, *, by: int) -> Array:
    turned = matrix.T
    if by == 1:
        return turned
    turned = turned.copy()
    turned[: turned.shape[0] // 3] /= by
    return turned
