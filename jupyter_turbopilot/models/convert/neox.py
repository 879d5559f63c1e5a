"""GPT-NeoX: StableCode's first models, PolyCoder, Pythia."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import ConversionError
from jupyter_turbopilot.models.convert.bigcode import unmixed
from jupyter_turbopilot.models.convert.gpt2 import GELU
from jupyter_turbopilot.models.convert.llama import rope_values
from jupyter_turbopilot.models.convert.recipe import Builder, Recipe, figures

if TYPE_CHECKING:
    from jupyter_turbopilot.models.convert.checkpoint import Checkpoint

IGNORED = (".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq")


def recipe(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe."""
    config = checkpoint.config
    width, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    layers, inner = config.whole("num_hidden_layers"), config.whole("intermediate_size")
    config.only(hidden_act=GELU)
    config.only(attention_bias=True)
    rotary = int(width // heads * config.share("rotary_pct", default=0.25))
    if rotary % 2:
        raise ConversionError(f"{rotary} rotary dimensions cannot be paired.")
    made = Recipe(
        "gptneox",
        config.whole("vocab_size"),
        figures(config.whole("max_position_embeddings"), width, layers, inner, heads, heads)
        | {
            "attention.layer_norm_epsilon": config.number("layer_norm_eps", default=1e-5),
            "use_parallel_residual": config.flag("use_parallel_residual", default=True),
            **rope_values(config, rotary),
        },
        ignored=IGNORED,
    )
    build = Builder(checkpoint, made)
    build.take("token_embd.weight", "embed_in.weight", (made.rows, width))
    build.norm("output_norm", "final_layer_norm", width)
    # This graph always asks for an output of its own.
    output = "embed_in.weight" if config.flag("tie_word_embeddings") else "embed_out.weight"
    build.take("output.weight", output, (made.rows, width))
    order = partial(unmixed, heads=heads)
    for i in range(layers):
        to, at = f"blk.{i}", f"layers.{i}"
        build.norm(f"{to}.attn_norm", f"{at}.input_layernorm", width)
        build.norm(f"{to}.ffn_norm", f"{at}.post_attention_layernorm", width)
        build.both(f"{to}.attn_qkv", f"{at}.attention.query_key_value", 3 * width, width, order)
        build.both(f"{to}.attn_output", f"{at}.attention.dense", width, width)
        build.both(f"{to}.ffn_up", f"{at}.mlp.dense_h_to_4h", inner, width)
        build.both(f"{to}.ffn_down", f"{at}.mlp.dense_4h_to_h", width, inner)
    return made
