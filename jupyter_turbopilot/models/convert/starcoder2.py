"""StarCoder2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.models.convert.gpt2 import GELU
from jupyter_turbopilot.models.convert.llama import context_of, rope_values
from jupyter_turbopilot.models.convert.recipe import Builder, Recipe, figures

if TYPE_CHECKING:
    from jupyter_turbopilot.models.convert.checkpoint import Checkpoint


def recipe(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe."""
    config = checkpoint.config
    width, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    groups = config.whole("num_key_value_heads", default=heads)
    layers, inner = config.whole("num_hidden_layers"), config.whole("intermediate_size")
    config.only(hidden_act=GELU)
    config.only(norm_type="layer_norm")
    config.only(mlp_type="default")
    config.only(use_bias=True)
    size = width // heads
    made = Recipe(
        "starcoder2",
        config.whole("vocab_size"),
        figures(context_of(config), width, layers, inner, heads, groups)
        | {
            "attention.layer_norm_epsilon": config.number("norm_epsilon", default=1e-5),
            **rope_values(config, size),
        },
        ignored=(".rotary_emb.inv_freq",),
    )
    build = Builder(checkpoint, made)
    build.take("token_embd.weight", "embed_tokens.weight", (made.rows, width))
    build.norm("output_norm", "norm", width)
    build.head(width, tied=config.flag("tie_word_embeddings", default=True))
    for i in range(layers):
        to, at = f"blk.{i}", f"layers.{i}"
        build.norm(f"{to}.attn_norm", f"{at}.input_layernorm", width)
        build.norm(f"{to}.ffn_norm", f"{at}.post_attention_layernorm", width)
        for name, count in (("q", heads), ("k", groups), ("v", groups)):
            build.both(f"{to}.attn_{name}", f"{at}.self_attn.{name}_proj", count * size, width)
        build.both(f"{to}.attn_output", f"{at}.self_attn.o_proj", width, heads * size)
        build.both(f"{to}.ffn_up", f"{at}.mlp.c_fc", inner, width)
        build.both(f"{to}.ffn_down", f"{at}.mlp.c_proj", width, inner)
    return made
