"""A recipe: the tensors that a file gets, how each comes about, and the model's values. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.models.convert.checkpoint import Array, Checkpoint, Tensor

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
    """A model in llama.cpp's terms; its tensors are collected from a checkpoint, in order."""

    checkpoint: Checkpoint
    architecture: str
    rows: int  # of the vocabulary
    values: dict[str, Value]
    ignored: tuple[str, ...] = ()  # endings of tensors that hold nothing the graph needs
    tensors: list[TargetTensor] = field(default_factory=list)

    def take(
        self, name: str, source: str, shape: tuple[int, ...], make: Callable[..., Array] = plain
    ) -> None:
        """Add a tensor that has to be there; `shape` is that of the result."""
        stored = shape[::-1] if make is transposed else shape
        tensor = self.checkpoint.get(source, stored)
        self.tensors.append(TargetTensor(name, shape, (tensor,), make))

    def maybe(
        self, name: str, source: str, shape: tuple[int, ...], make: Callable[..., Array] = plain
    ) -> None:
        """Add a tensor if it is there."""
        if self.checkpoint.find(source):
            self.take(name, source, shape, make)

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

    def head(self, width: int, *, tied: bool) -> None:
        """Add the output, unless it is the embedding again."""
        add = self.maybe if tied else self.take
        add("output.weight", "lm_head.weight", (self.rows, width))


def figures(context: int, width: int, layers: int, inner: int, heads: int, groups: int) -> dict[str, Value]:
    """Return the values that every model has; `groups` is how many heads have keys of their own."""
    return {
        "context_length": context,
        "embedding_length": width,
        "block_count": layers,
        "feed_forward_length": inner,
        "attention.head_count": heads,
        "attention.head_count_kv": groups,
    }
