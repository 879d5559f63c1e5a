"""The keys and values of one sequence, as transformers keeps them: made, copied, cut."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer


@dataclass
class Held:
    """What was computed for the first `size` tokens of a sequence."""

    cache: Any
    size: int = 0

    def copied(self, count: int, *, divisible: bool) -> Held:
        """Return the first `count` tokens, to be continued in another way."""
        if not divisible:  # its states are changed in place
            return Held(copy.deepcopy(self.cache), self.size)
        other = copy.copy(self.cache)
        # Growing makes new tensors, so until then both may have the same.
        other.layers = [copy.copy(layer) for layer in self.cache.layers]
        held = Held(other, self.size)
        held.cut(count)
        return held

    def cut(self, size: int) -> None:
        """Forget what was computed from `size` on, also where only some layers have got further."""
        for layer in self.cache.layers:
            if (more := layer.get_seq_length() - size) > 0:
                layer.crop(-more)
        self.size = min(self.size, size)

    def compact(self) -> Held:
        """Let go of the larger tensors that cut ones are a part of."""
        for layer in self.cache.layers:
            for name, value in vars(layer).items():
                if isinstance(value, torch.Tensor):
                    setattr(layer, name, value.clone())
        return self


def new_cache(config: Any) -> Any:
    """Return an empty cache, which keeps all tokens even of layers that look at the nearest ones only.

    What such layers need after a cut would otherwise be gone.
    """
    cache = DynamicCache(config=config)
    cache.layers = [
        DynamicLayer() if type(layer) is DynamicSlidingWindowLayer else layer for layer in cache.layers
    ]
    return cache


def is_divisible(cache: Any) -> bool:
    """Tell whether the end of a sequence can be forgotten; the state of recurrent layers cannot go back."""
    return all(type(layer) is DynamicLayer for layer in cache.layers)
