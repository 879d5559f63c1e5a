"""Phi-1, Phi-1.5 and Phi-2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import ConversionError
from jupyter_turbopilot.models.convert.llama import rope_values
from jupyter_turbopilot.models.convert.recipe import Builder, Recipe, figures

if TYPE_CHECKING:
    from jupyter_turbopilot.models.convert.checkpoint import Checkpoint


def recipe(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe."""
    config = checkpoint.config
    width, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    layers, inner = config.whole("num_hidden_layers"), config.whole("intermediate_size")
    groups = config.whole("num_key_value_heads", default=heads)
    config.only(hidden_act="gelu_new")
    config.only(qk_layernorm=False)
    config.only(tie_word_embeddings=False)
    size = width // heads
    rotary = int(size * config.share(default=0.5))
    if rotary % 2:
        raise ConversionError(f"{rotary} rotary dimensions cannot be paired.")
    made = Recipe(
        "phi2",
        config.whole("vocab_size"),
        figures(config.whole("max_position_embeddings"), width, layers, inner, heads, groups)
        | {
            "attention.layer_norm_epsilon": config.number("layer_norm_eps", default=1e-5),
            **rope_values(config, rotary),
        },
        ignored=(".rotary_emb.inv_freq",),
    )
    build = Builder(checkpoint, made)
    build.take("token_embd.weight", "embed_tokens.weight", (made.rows, width))
    build.norm("output_norm", "final_layernorm", width)
    build.both("output", "lm_head", made.rows, width)
    for i in range(layers):
        to, at = f"blk.{i}", f"layers.{i}"
        build.norm(f"{to}.attn_norm", f"{at}.input_layernorm", width)
        for name, count in (("q", heads), ("k", groups), ("v", groups)):
            build.both(f"{to}.attn_{name}", f"{at}.self_attn.{name}_proj", count * size, width)
        build.both(f"{to}.attn_output", f"{at}.self_attn.dense", width, width)
        build.both(f"{to}.ffn_up", f"{at}.mlp.fc1", inner, width)
        build.both(f"{to}.ffn_down", f"{at}.mlp.fc2", width, inner)
    return made
