"""A network written out: products of the same input put together, attention block by block.

Compiled, that takes about half the time that the library's own takes on a processor.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

LOG = logging.getLogger(__name__)
BLOCK = 128  # tokens that attend together: what lies ahead of them is not computed
Turns = tuple[torch.Tensor, torch.Tensor]
Product = tuple[torch.Tensor, torch.Tensor | None]  # a matrix, and what is added


class Weights(NamedTuple):
    """A layer's weights: of its norms, and of what is multiplied together."""

    norms: tuple[torch.Tensor, torch.Tensor]
    attending: tuple[Product, ...]
    attended: tuple[Product, ...]
    widening: tuple[Product, ...]
    narrowing: tuple[Product, ...]

    @classmethod
    def of(cls, layer: Any) -> Weights:
        """Take the weights out of the library's modules."""
        attention, inner = layer.self_attn, layer.mlp
        return cls(
            (layer.input_layernorm.weight, layer.post_attention_layernorm.weight),
            tuple(
                (part.weight, part.bias) for part in (attention.q_proj, attention.k_proj, attention.v_proj)
            ),
            ((attention.o_proj.weight, attention.o_proj.bias),),
            tuple((part.weight, part.bias) for part in (inner.gate_proj, inner.up_proj)),
            ((inner.down_proj.weight, inner.down_proj.bias),),
        )


class Forward:
    """Computes what could follow each token of plain rows."""

    def __init__(self, model: Any, kind: torch.dtype, *, compiled: bool) -> None:
        """`kind`: of the numbers that are multiplied."""
        self.model, self.kind = model, kind
        self.epsilon: float = model.config.rms_norm_eps
        # Layers are alike: compiled once for all of them.
        self._layer: Callable[..., torch.Tensor] = (
            torch.compile(_layer, dynamic=False) if compiled else _layer
        )

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the scores of all tokens at each place."""
        model, head = self.model.model, self.model.lm_head
        stream = model.embed_tokens(tokens).float()
        turns = model.rotary_emb(stream, torch.arange(tokens.shape[1], device=tokens.device)[None])
        for layer in model.layers:
            size = layer.self_attn.head_dim
            stream = self._through(stream, turns, Weights.of(layer), size)
        stream = _normed(stream, model.norm.weight, self.epsilon).to(self.kind)
        return _products(stream, ((head.weight, head.bias),))[0].float()

    def _through(self, stream: torch.Tensor, turns: Turns, weights: Weights, head: int) -> torch.Tensor:
        """Compute a layer; where it cannot be compiled, as it is written."""
        try:
            return self._layer(stream, turns, weights, head, self.epsilon, self.kind)
        except RuntimeError:  # a compiler alone does not do: it takes Python's headers, and OpenMP
            if self._layer is _layer:
                raise
            LOG.warning("The layers could not be compiled: training takes about twice as long a step.")
            self._layer = _layer
            return self._through(stream, turns, weights, head)


def _layer(
    stream: torch.Tensor, turns: Turns, weights: Weights, head: int, epsilon: float, kind: torch.dtype
) -> torch.Tensor:
    parts = _products(_normed(stream, weights.norms[0], epsilon).to(kind), weights.attending)
    rows, length, _ = stream.shape
    query, key, value = (part.view(rows, length, -1, head).transpose(1, 2) for part in parts)
    shared = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(shared, 1) if shared > 1 else part for part in (key, value))
    seen = attend(_turned(query, turns), _turned(key, turns), value)
    stream = stream + _products(seen.transpose(1, 2).reshape(rows, length, -1), weights.attended)[0]
    gate, up = _products(_normed(stream, weights.norms[1], epsilon).to(kind), weights.widening)
    return stream + _products(functional.silu(gate) * up, weights.narrowing)[0]


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attend to what lies behind, block after block; on a graphics card the library does it well."""
    if query.device.type != "cpu":
        return functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    length, scale = query.shape[2], query.shape[3] ** -0.5
    size = max(BLOCK, length // 8)
    ahead = torch.full((size, size), -torch.inf, dtype=query.dtype, device=query.device).triu(1)
    made = []
    for start in range(0, length, size):
        stop = min(start + size, length)
        scores = (query[:, :, start:stop] * scale) @ key[:, :, :stop].transpose(-1, -2)
        own = scores[..., start:] + ahead[: stop - start, : stop - start]
        weights = torch.cat([scores[..., :start], own], -1).softmax(-1)
        made.append(weights @ value[:, :, :stop])
    return torch.cat(made, 2)


def _products(inputs: torch.Tensor, layers: tuple[Product, ...]) -> tuple[torch.Tensor, ...]:
    """Multiply an input by several matrices at once."""
    weights = torch.cat([weight for weight, _ in layers]).to(inputs.dtype)
    biases = [bias for _, bias in layers if bias is not None]
    products = functional.linear(inputs, weights, torch.cat(biases).to(inputs.dtype) if biases else None)
    return torch.split(products, [weight.shape[0] for weight, _ in layers], -1)


def _normed(stream: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    return stream * torch.rsqrt(stream.square().mean(-1, keepdim=True) + epsilon) * weight


def _turned(heads: torch.Tensor, turns: Turns) -> torch.Tensor:
    first, second = heads.float().chunk(2, -1)
    turned = torch.cat([first, second], -1) * turns[0] + torch.cat([-second, first], -1) * turns[1]
    return turned.to(heads.dtype)
