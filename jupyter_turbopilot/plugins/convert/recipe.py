"""A recipe: the tensors and metadata of the GGUF file, and the sources of each tensor. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.models.checkpoint import Array, Checkpoint, Tensor

Value = int | float | bool | str


def plain(*parts: Any) -> Any:
    """Return the tensor unchanged."""
    return parts[0]


def transposed(part: Array) -> Array:
    """Transpose a matrix."""
    return part.T


@dataclass(frozen=True)
class TargetTensor:
    """One tensor of the GGUF file."""

    name: str
    shape: tuple[int, ...]
    sources: tuple[Tensor, ...] = ()
    make: Callable[..., Array] = plain

    def read(self) -> Array:
        """Return the values; zeros for a tensor without sources."""
        if not self.sources:
            return np.zeros(self.shape, np.float32)
        return self.make(*(source.read() for source in self.sources))


@dataclass
class Recipe:
    """A model in llama.cpp's terms, collected from a checkpoint."""

    checkpoint: Checkpoint
    architecture: str
    rows: int  # of the embedding: the size of the vocabulary
    values: dict[str, Value]
    ignored: tuple[str, ...] = ()  # suffixes of tensors that the graph does not need
    tensors: list[TargetTensor] = field(default_factory=list)

    def take(
        self, name: str, source: str, shape: tuple[int, ...], make: Callable[..., Array] = plain
    ) -> None:
        """Add a tensor that must exist; `shape` is that of the result."""
        stored = shape[::-1] if make is transposed else shape
        tensor = self.checkpoint.get(source, stored)
        self.tensors.append(TargetTensor(name, shape, (tensor,), make))

    def take_optional(
        self, name: str, source: str, shape: tuple[int, ...], make: Callable[..., Array] = plain
    ) -> None:
        """Add a tensor if the checkpoint has it."""
        if self.checkpoint.find(source):
            self.take(name, source, shape, make)

    def take_with_bias(self, name: str, source: str, *shape: int, make: Callable[..., Array] = plain) -> None:
        """Add a weight, which may be a norm's, and its bias."""
        self.take(f"{name}.weight", f"{source}.weight", shape, make)
        self.take(f"{name}.bias", f"{source}.bias", shape[:1], plain if make is transposed else make)

    def head(self, width: int, *, tied: bool) -> None:
        """Add the output matrix, which may be missing if it is tied to the embedding."""
        add = self.take_optional if tied else self.take
        add("output.weight", "lm_head.weight", (self.rows, width))


def hyperparameters(
    context: int, width: int, layers: int, inner: int, heads: int, groups: int
) -> dict[str, Value]:
    """Return the metadata that every model has; `groups` is the number of key/value heads."""
    return {
        "context_length": context,
        "embedding_length": width,
        "block_count": layers,
        "feed_forward_length": inner,
        "attention.head_count": heads,
        "attention.head_count_kv": groups,
    }
