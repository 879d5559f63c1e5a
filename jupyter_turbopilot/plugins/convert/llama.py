"""Models with Llama's layer names: Llama and derivatives, Qwen2, StarCoder2, Phi and GPT-NeoX.

Llama derivatives are CodeLlama, Mistral, Codestral, DeepSeek-Coder and SmolLM2; GPT-NeoX includes the first
StableCode models, PolyCoder and Pythia.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.ggml import interleave_halves
from jupyter_turbopilot.plugins.convert.gpt import GELU, split_qkv
from jupyter_turbopilot.plugins.convert.recipe import Recipe, Value, hyperparameters
from jupyter_turbopilot.protocol.errors import ConversionError

if TYPE_CHECKING:
    from jupyter_turbopilot.models.checkpoint import Checkpoint
    from jupyter_turbopilot.models.checkpoint_config import Config

_COMPUTED = ".rotary_emb.inv_freq"


def llama(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe of a Llama model."""
    checkpoint.config.require(mlp_bias=False)
    return _llama(checkpoint, "llama", turned=True)


def qwen2(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe of a Qwen2 or Qwen2.5 model."""
    checkpoint.config.require(use_sliding_window=False)
    return _llama(checkpoint, "qwen2", turned=False)


def _llama(checkpoint: Checkpoint, architecture: str, *, turned: bool) -> Recipe:
    config = checkpoint.config
    width, heads, groups, layers, inner = _sizes(config)
    size = config.whole("head_dim", default=max(1, width // heads))
    config.require(hidden_act="silu")
    if heads % groups or size % 2:
        raise ConversionError(
            f"config.json has an invalid attention: {heads} heads of {size} in {groups} groups."
        )
    recipe = Recipe(
        checkpoint,
        architecture,
        config.whole("vocab_size"),
        hyperparameters(_context(config), width, layers, inner, heads, groups)
        | {
            "attention.key_length": size,
            "attention.value_length": size,
            "attention.layer_norm_rms_epsilon": config.positive_float("rms_norm_eps", default=1e-6),
            **_rope(config, size),
        },
        ignored=(_COMPUTED,),
    )
    recipe.take("token_embd.weight", "embed_tokens.weight", (recipe.rows, width))
    recipe.take("output_norm.weight", "norm.weight", (width,))
    recipe.head(width, tied=config.flag("tie_word_embeddings"))
    for i in range(layers):
        to, at = f"blk.{i}", f"layers.{i}"
        recipe.take(f"{to}.attn_norm.weight", f"{at}.input_layernorm.weight", (width,))
        recipe.take(f"{to}.ffn_norm.weight", f"{at}.post_attention_layernorm.weight", (width,))
        for name, count, order in (("q", heads, turned), ("k", groups, turned), ("v", groups, False)):
            rows = count * size
            source, target = f"{at}.self_attn.{name}_proj", f"{to}.attn_{name}"
            make = {"make": partial(interleave_halves, heads=count)} if order else {}
            recipe.take(f"{target}.weight", f"{source}.weight", (rows, width), **make)
            recipe.take_optional(f"{target}.bias", f"{source}.bias", (rows,), **make)
        recipe.take(f"{to}.attn_output.weight", f"{at}.self_attn.o_proj.weight", (width, heads * size))
        recipe.take_optional(f"{to}.attn_output.bias", f"{at}.self_attn.o_proj.bias", (width,))
        recipe.take(f"{to}.ffn_gate.weight", f"{at}.mlp.gate_proj.weight", (inner, width))
        recipe.take(f"{to}.ffn_up.weight", f"{at}.mlp.up_proj.weight", (inner, width))
        recipe.take(f"{to}.ffn_down.weight", f"{at}.mlp.down_proj.weight", (width, inner))
    return recipe


def starcoder2(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe of a StarCoder2 model."""
    config = checkpoint.config
    width, heads, groups, layers, inner = _sizes(config)
    config.require(hidden_act=GELU, norm_type="layer_norm", mlp_type="default", use_bias=True)
    size = width // heads
    recipe = Recipe(
        checkpoint,
        "starcoder2",
        config.whole("vocab_size"),
        hyperparameters(_context(config), width, layers, inner, heads, groups)
        | {
            "attention.layer_norm_epsilon": config.positive_float("norm_epsilon", default=1e-5),
            **_rope(config, size),
        },
        ignored=(_COMPUTED,),
    )
    recipe.take("token_embd.weight", "embed_tokens.weight", (recipe.rows, width))
    recipe.take_with_bias("output_norm", "norm", width)
    recipe.head(width, tied=config.flag("tie_word_embeddings", default=True))
    for i in range(layers):
        to, at = f"blk.{i}", f"layers.{i}"
        recipe.take_with_bias(f"{to}.attn_norm", f"{at}.input_layernorm", width)
        recipe.take_with_bias(f"{to}.ffn_norm", f"{at}.post_attention_layernorm", width)
        for name, count in (("q", heads), ("k", groups), ("v", groups)):
            recipe.take_with_bias(f"{to}.attn_{name}", f"{at}.self_attn.{name}_proj", count * size, width)
        recipe.take_with_bias(f"{to}.attn_output", f"{at}.self_attn.o_proj", width, heads * size)
        recipe.take_with_bias(f"{to}.ffn_up", f"{at}.mlp.c_fc", inner, width)
        recipe.take_with_bias(f"{to}.ffn_down", f"{at}.mlp.c_proj", width, inner)
    return recipe


def phi(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe of a Phi-1, Phi-1.5 or Phi-2 model."""
    config = checkpoint.config
    width, heads, groups, layers, inner = _sizes(config)
    config.require(hidden_act="gelu_new", qk_layernorm=False, tie_word_embeddings=False)
    size = width // heads
    recipe = Recipe(
        checkpoint,
        "phi2",
        config.whole("vocab_size"),
        hyperparameters(config.whole("max_position_embeddings"), width, layers, inner, heads, groups)
        | {
            "attention.layer_norm_epsilon": config.positive_float("layer_norm_eps", default=1e-5),
            **_rope(config, _rotary(size, config.rotary_fraction(default=0.5))),
        },
        ignored=(_COMPUTED,),
    )
    recipe.take("token_embd.weight", "embed_tokens.weight", (recipe.rows, width))
    recipe.take_with_bias("output_norm", "final_layernorm", width)
    recipe.take_with_bias("output", "lm_head", recipe.rows, width)
    for i in range(layers):
        to, at = f"blk.{i}", f"layers.{i}"
        recipe.take_with_bias(f"{to}.attn_norm", f"{at}.input_layernorm", width)
        for name, count in (("q", heads), ("k", groups), ("v", groups)):
            recipe.take_with_bias(f"{to}.attn_{name}", f"{at}.self_attn.{name}_proj", count * size, width)
        recipe.take_with_bias(f"{to}.attn_output", f"{at}.self_attn.dense", width, width)
        recipe.take_with_bias(f"{to}.ffn_up", f"{at}.mlp.fc1", inner, width)
        recipe.take_with_bias(f"{to}.ffn_down", f"{at}.mlp.fc2", width, inner)
    return recipe


def neox(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe of a GPT-NeoX model."""
    config = checkpoint.config
    width, heads, _, layers, inner = _sizes(config)
    config.require(hidden_act=GELU, attention_bias=True)
    recipe = Recipe(
        checkpoint,
        "gptneox",
        config.whole("vocab_size"),
        hyperparameters(config.whole("max_position_embeddings"), width, layers, inner, heads, heads)
        | {
            "attention.layer_norm_epsilon": config.positive_float("layer_norm_eps", default=1e-5),
            "use_parallel_residual": config.flag("use_parallel_residual", default=True),
            **_rope(config, _rotary(width // heads, config.rotary_fraction("rotary_pct", default=0.25))),
        },
        ignored=(".attention.bias", ".attention.masked_bias", _COMPUTED),
    )
    recipe.take("token_embd.weight", "embed_in.weight", (recipe.rows, width))
    recipe.take_with_bias("output_norm", "final_layer_norm", width)
    # This graph always requires a separate output tensor.
    output = "embed_in.weight" if config.flag("tie_word_embeddings") else "embed_out.weight"
    recipe.take("output.weight", output, (recipe.rows, width))
    order = partial(split_qkv, heads=heads)
    for i in range(layers):
        to, at = f"blk.{i}", f"layers.{i}"
        recipe.take_with_bias(f"{to}.attn_norm", f"{at}.input_layernorm", width)
        recipe.take_with_bias(f"{to}.ffn_norm", f"{at}.post_attention_layernorm", width)
        recipe.take_with_bias(
            f"{to}.attn_qkv", f"{at}.attention.query_key_value", 3 * width, width, make=order
        )
        recipe.take_with_bias(f"{to}.attn_output", f"{at}.attention.dense", width, width)
        recipe.take_with_bias(f"{to}.ffn_up", f"{at}.mlp.dense_h_to_4h", inner, width)
        recipe.take_with_bias(f"{to}.ffn_down", f"{at}.mlp.dense_4h_to_h", width, inner)
    return recipe


def _sizes(config: Config) -> tuple[int, int, int, int, int]:
    """Return width, heads, key/value heads, layers and feed-forward width."""
    width, heads = config.whole("hidden_size"), config.whole("num_attention_heads")
    groups = config.whole("num_key_value_heads", default=heads)
    return (
        width,
        heads,
        groups,
        config.whole("num_hidden_layers"),
        config.whole("intermediate_size"),
    )


def _context(config: Config) -> int:
    """Return the context length, limited by the sliding window, which llama.cpp does not support here."""
    most = config.whole("max_position_embeddings")
    window = config.values.get("sliding_window")
    if window is None or (config.family == "qwen2" and not config.flag("use_sliding_window")):
        return most
    return min(most, config.whole("sliding_window"))


def _rotary(size: int, share: float) -> int:
    """Return the number of rotary dimensions of a head."""
    rotary = int(size * share)
    if rotary % 2:
        raise ConversionError(f"{rotary} rotary dimensions cannot be paired.")
    return rotary


def _rope(config: Config, dimensions: int) -> dict[str, Value]:
    """Return the RoPE values, or raise ConversionError if they are not supported."""
    scaling = config.rope()
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    values: dict[str, Value] = {"rope.dimension_count": dimensions, "rope.freq_base": config.theta()}
    if kind == "linear":
        factor = scaling.get("factor")
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not factor > 0:
            raise ConversionError("config.json has an invalid RoPE scaling factor.")
        return {**values, "rope.scaling.type": "linear", "rope.scaling.factor": float(factor)}
    if kind != "default":
        raise ConversionError(f"{config.family} with {str(kind)[:40]} rope scaling is not supported.")
    return values
