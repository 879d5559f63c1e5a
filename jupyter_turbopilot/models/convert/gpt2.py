"""GPT-2: CodeParrot and others of its shape."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.convert.bigcode import GELU
from jupyter_turbopilot.models.convert.recipe import Builder, Piece, Recipe, figures, transposed

if TYPE_CHECKING:
    from jupyter_turbopilot.models.convert.checkpoint import Array, Checkpoint


def recipe(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe."""
    config = checkpoint.config
    width, heads, layers = config.whole("n_embd"), config.whole("n_head"), config.whole("n_layer")
    inner, context = config.whole("n_inner", default=4 * width), config.whole("n_positions")
    config.only(activation_function=GELU)
    config.only(scale_attn_weights=True)
    config.only(add_cross_attention=False)
    made = Recipe(
        "gpt2",
        config.whole("vocab_size"),
        figures(context, width, layers, inner, heads, heads)
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
    for i in range(layers):
        to, at = f"blk.{i}", f"h.{i}"
        # CodeParrot divides a layer's attention by the layer's number; the queries can carry that.
        divided = i + 1 if config.flag("scale_attn_by_inverse_layer_idx") else 1
        build.norm(f"{to}.attn_norm", f"{at}.ln_1", width)
        build.norm(f"{to}.ffn_norm", f"{at}.ln_2", width)
        weight = checkpoint.get(f"{at}.attn.c_attn.weight", (width, 3 * width))
        bias = checkpoint.get(f"{at}.attn.c_attn.bias", (3 * width,))
        make = partial(_queries_divided, by=divided)
        made.pieces.append(Piece(f"{to}.attn_qkv.weight", (3 * width, width), (weight,), make))
        made.pieces.append(Piece(f"{to}.attn_qkv.bias", (3 * width,), (bias,), make))
        build.both(f"{to}.attn_output", f"{at}.attn.c_proj", width, width, transposed)
        build.both(f"{to}.ffn_up", f"{at}.mlp.c_fc", inner, width, transposed)
        build.both(f"{to}.ffn_down", f"{at}.mlp.c_proj", width, inner, transposed)
    return made


def _queries_divided(matrix: Array, *, by: int) -> Array:
    turned = matrix.T
    if by == 1:
        return turned
    turned = turned.copy()
    turned[: turned.shape[0] // 3] /= by
    return turned
