"""GPTBigCode: SantaCoder, StarCoder, tiny_starcoder_py."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.convert.recipe import Builder, Recipe, figures

if TYPE_CHECKING:
    from jupyter_turbopilot.models.convert.checkpoint import Array, Checkpoint

GELU = ("gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu")


def recipe(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe."""
    config = checkpoint.config
    width, heads, layers = config.whole("n_embd"), config.whole("n_head"), config.whole("n_layer")
    inner, context = config.whole("n_inner", default=4 * width), config.whole("n_positions")
    config.only(activation_function=GELU)
    config.only(scale_attn_weights=True)
    shared = config.flag("multi_query", default=True)
    groups = 1 if shared else heads
    made = Recipe(
        "starcoder",
        config.whole("vocab_size"),
        figures(context, width, layers, inner, heads, groups)
        | {
            "attention.layer_norm_epsilon": config.number("layer_norm_epsilon", default=1e-5),
        },
        ignored=(".attn.bias", ".attn.masked_bias"),
    )
    build = Builder(checkpoint, made)
    build.take("token_embd.weight", "wte.weight", (made.rows, width))
    build.take("position_embd.weight", "wpe.weight", (context, width))
    build.norm("output_norm", "ln_f", width)
    build.head(width, tied=config.flag("tie_word_embeddings", default=True))
    rows = width + 2 * groups * (width // heads)
    # With keys and values shared they stand behind the queries; else each head has its own three.
    order = partial(unmixed, heads=heads)
    for i in range(layers):
        to, at = f"blk.{i}", f"h.{i}"
        build.norm(f"{to}.attn_norm", f"{at}.ln_1", width)
        build.norm(f"{to}.ffn_norm", f"{at}.ln_2", width)
        if shared:
            build.both(f"{to}.attn_qkv", f"{at}.attn.c_attn", rows, width)
        else:
            build.both(f"{to}.attn_qkv", f"{at}.attn.c_attn", rows, width, order)
        build.both(f"{to}.attn_output", f"{at}.attn.c_proj", width, width)
        build.both(f"{to}.ffn_up", f"{at}.mlp.c_fc", inner, width)
        build.both(f"{to}.ffn_down", f"{at}.mlp.c_proj", width, inner)
    return made


def unmixed(matrix: Array, *, heads: int) -> Array:
    """Put all queries first, then all keys, then all values."""
    apart = matrix.reshape(heads, 3, -1, *matrix.shape[1:])
    return apart.swapaxes(0, 1).reshape(matrix.shape)
