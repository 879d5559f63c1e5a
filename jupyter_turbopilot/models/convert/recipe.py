"""What a recipe says: which tensors the file gets, how each comes about, the model's figures. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.models.convert.checkpoint import Checkpoint
    from jupyter_turbopilot.models.convert.weights import Array, Tensor

Value = int | float | bool | str


def plain(*parts: Any) -> Any:
    """Take the tensor as it is."""
    return parts[0]


def transposed(part: Array) -> Array:
    """Turn a matrix that was stored the other way round."""
    return part.T


@dataclass(frozen=True)
class TargetTensor:
    """One tensor of the file."""

    name: str
    shape: tuple[int, ...]
    sources: tuple[Tensor, ...] = ()
    make: Callable[..., Array] = plain

    def read(self) -> Array:
        """Compute it; without a source it is nothing but zeros."""
        if not self.sources:
            return np.zeros(self.shape, np.float32)
        return self.make(*(source.read() for source in self.sources))


@dataclass
class Recipe:
    """A model in llama.cpp's terms."""

    architecture: str
    rows: int  # of the vocabulary
    values: dict[str, Value]
    tensors: list[TargetTensor] = field(default_factory=list)
    ignored: tuple[str, ...] = ()  # endings of tensors that hold nothing the graph needs


def figures(context: int, width: int, layers: int, inner: int, heads: int, groups: int) -> dict[str, Value]:
    """Return the figures that every model has; `groups` is how many heads have keys of their own."""
    return {
        "context_length": context,
        "embedding_length": width,
        "block_count": layers,
        "feed_forward_length": inner,
        "attention.head_count": heads,
        "attention.head_count_kv": groups,
    }


class Builder:
    """Collects a recipe's tensors from a checkpoint, in order."""

    def __init__(self, checkpoint: Checkpoint, recipe: Recipe) -> None:
        self.checkpoint = checkpoint
        self.recipe = recipe

    def take(
        self, name: str, source: str, shape: tuple[int, ...], make: Callable[..., Array] = plain
    ) -> None:
        """Add a tensor that has to be there; `shape` is that of the result."""
        stored = shape[::-1] if make is transposed else shape
        tensor = self.checkpoint.get(source, stored)
        self.recipe.tensors.append(TargetTensor(name, shape, (tensor,), make))

    def zeros(self, name: str, size: int) -> None:
        """Add a bias that llama.cpp asks for and the model does not have."""
        self.recipe.tensors.append(TargetTensor(name, (size,)))

    def maybe(
        self, name: str, source: str, shape: tuple[int, ...], make: Callable[..., Array] = plain
    ) -> bool:
        """Add a tensor if it is there."""
        if self.checkpoint.find(source) is None:
            return False
        self.take(name, source, shape, make)
        return True

    def both(
        self, name: str, source: str, rows: int, columns: int, make: Callable[..., Array] = plain
    ) -> None:
        """Add a weight and its bias."""
        self.take(f"{name}.weight", f"{source}.weight", (rows, columns), make)
        self.take(f"{name}.bias", f"{source}.bias", (rows,), plain if make is transposed else make)

    def norm(self, name: str, source: str, size: int) -> None:
        """Add a norm's weight and its bias."""
        self.take(f"{name}.weight", f"{source}.weight", (size,))
        self.take(f"{name}.bias", f"{source}.bias", (size,))

    def head(self, width: int, *, tied: bool, source: str = "lm_head") -> None:
        """Add the output, unless it is the embedding again."""
        if not self.maybe("output.weight", f"{source}.weight", (self.recipe.rows, width)) and not tied:
            self.take("output.weight", f"{source}.weight", (self.recipe.rows, width))
