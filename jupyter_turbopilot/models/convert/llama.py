"""Llama and what was built like it: CodeLlama, Mistral, Codestral, DeepSeek-Coder, SmolLM2, Qwen2."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import ConversionError
from jupyter_turbopilot.models.convert.recipe import Builder, Recipe, Value, figures

if TYPE_CHECKING:
    from jupyter_turbopilot.models.convert.checkpoint import Checkpoint
    from jupyter_turbopilot.models.convert.config import Config
    from jupyter_turbopilot.models.convert.weights import Array


def llama(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe for a model of Llama's shape."""
    checkpoint.config.only(mlp_bias=False)
    return _recipe(checkpoint, "llama", turned=True)


def qwen2(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe for Qwen2 and Qwen2.5."""
    checkpoint.config.only(use_sliding_window=False)
    return _recipe(checkpoint, "qwen2", turned=False)


def context_of(config: Config) -> int:
    """Return how far back the model sees; llama.cpp computes no sliding window here, so one is the end."""
    most = config.whole("max_position_embeddings")
    window = config.values.get("sliding_window")
    if window is None or (config.family == "qwen2" and not config.flag("use_sliding_window")):
        return most
    return min(most, config.whole("sliding_window"))


def rope_values(config: Config, width: int) -> dict[str, Value]:
    """Return how positions are turned, or refuse what is not supported."""
    scaling = config.rope()
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    values: dict[str, Value] = {"rope.dimension_count": width, "rope.freq_base": config.theta()}
    if kind == "linear":
        factor = scaling.get("factor")
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not factor > 0:
            raise ConversionError("config.json has an impossible rope factor.")
        return {**values, "rope.scaling.type": "linear", "rope.scaling.factor": float(factor)}
    if kind != "default":
        raise ConversionError(f"{config.family} with {str(kind)[:40]} rope scaling is not supported.")
    return values


def _recipe(checkpoint: Checkpoint, architecture: str, *, turned: bool) -> Recipe:
    config = checkpoint.config
    width, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    groups = config.whole("num_key_value_heads", default=heads)
    layers, inner = config.whole("num_hidden_layers"), config.whole("intermediate_size")
    size = config.whole("head_dim", default=max(1, width // heads))
    config.only(hidden_act="silu")
    if heads % groups or size % 2:
        raise ConversionError(
            f"config.json has an impossible attention: {heads} heads of {size} in {groups} groups."
        )
    made = Recipe(
        architecture,
        config.whole("vocab_size"),
        figures(context_of(config), width, layers, inner, heads, groups)
        | {
            "attention.key_length": size,
            "attention.value_length": size,
            "attention.layer_norm_rms_epsilon": config.number("rms_norm_eps", default=1e-6),
            **rope_values(config, size),
        },
        ignored=(".rotary_emb.inv_freq",),
    )
    build = Builder(checkpoint, made)
    build.take("token_embd.weight", "embed_tokens.weight", (made.rows, width))
    build.take("output_norm.weight", "norm.weight", (width,))
    build.head(width, tied=config.flag("tie_word_embeddings"))
    for i in range(layers):
        to, at = f"blk.{i}", f"layers.{i}"
        build.take(f"{to}.attn_norm.weight", f"{at}.input_layernorm.weight", (width,))
        build.take(f"{to}.ffn_norm.weight", f"{at}.post_attention_layernorm.weight", (width,))
        for name, count, order in (("q", heads, turned), ("k", groups, turned), ("v", groups, False)):
            rows = count * size
            source, target = f"{at}.self_attn.{name}_proj", f"{to}.attn_{name}"
            make = {"make": partial(neighbours, heads=count)} if order else {}
            build.take(f"{target}.weight", f"{source}.weight", (rows, width), **make)
            build.maybe(f"{target}.bias", f"{source}.bias", (rows,), **make)
        build.take(f"{to}.attn_output.weight", f"{at}.self_attn.o_proj.weight", (width, heads * size))
        build.maybe(f"{to}.attn_output.bias", f"{at}.self_attn.o_proj.bias", (width,))
        build.take(f"{to}.ffn_gate.weight", f"{at}.mlp.gate_proj.weight", (inner, width))
        build.take(f"{to}.ffn_up.weight", f"{at}.mlp.up_proj.weight", (inner, width))
        build.take(f"{to}.ffn_down.weight", f"{at}.mlp.down_proj.weight", (width, inner))
    return made


def neighbours(matrix: Array, *, heads: int) -> Array:
    """Order the rows of each head as llama.cpp has them: it pairs neighbours, transformers halves."""
    apart = matrix.reshape(heads, 2, -1, *matrix.shape[1:])
    return apart.swapaxes(1, 2).reshape(matrix.shape)
