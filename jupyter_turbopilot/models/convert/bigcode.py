"""GPTBigCode: SantaCoder, StarCoder, tiny_starcoder_py."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.convert.gpt2 import shaped
from jupyter_turbopilot.models.convert.recipe import plain

if TYPE_CHECKING:
    from jupyter_turbopilot.models.convert.checkpoint import Checkpoint
    from jupyter_turbopilot.models.convert.recipe import Builder, Recipe
    from jupyter_turbopilot.models.convert.weights import Array


def recipe(checkpoint: Checkpoint) -> Recipe:
    """Return the recipe."""
    config = checkpoint.config
    width, heads = config.whole("n_embd"), config.whole("n_head")
    shared = config.flag("multi_query", default=True)
    groups = 1 if shared else heads
    # With keys and values shared they stand behind the queries; else each head has its own three.
    order = plain if shared else partial(unmixed, heads=heads)

    def attention(build: Builder, layer: int) -> None:
        rows = width + 2 * groups * (width // heads)
        build.both(f"blk.{layer}.attn_qkv", f"h.{layer}.attn.c_attn", rows, width, order)

    return shaped(checkpoint, "starcoder", groups, attention)


def unmixed(matrix: Array, *, heads: int) -> Array:
    """Put all queries first, then all keys, then all values."""
    apart = matrix.reshape(heads, 3, -1, *matrix.shape[1:])
    return apart.swapaxes(0, 1).reshape(matrix.shape)
