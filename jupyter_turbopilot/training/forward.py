"""A network written out, products of the same input put together: it compiles into few loops."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


def logits(model: Any, tokens: torch.Tensor, kind: torch.dtype) -> torch.Tensor:
    """Compute what could follow each token of plain rows; products are of the given kind of number."""
    stream = model.model.embed_tokens(tokens).float()
    places = torch.arange(tokens.shape[1], device=tokens.device)[None]
    turns = model.model.rotary_emb(stream, places)
    for layer in model.model.layers:
        stream = stream + _attended(layer.self_attn, _normed(stream, layer.input_layernorm).to(kind), turns)
        inner = layer.mlp
        gate, up = _products(
            _normed(stream, layer.post_attention_layernorm).to(kind), inner.gate_proj, inner.up_proj
        )
        stream = stream + _products(functional.silu(gate) * up, inner.down_proj)[0]
    return _products(_normed(stream, model.model.norm).to(kind), model.lm_head)[0].float()


def _attended(attention: Any, inputs: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    parts = _products(inputs, attention.q_proj, attention.k_proj, attention.v_proj)
    rows, length, _ = inputs.shape
    query, key, value = (part.view(rows, length, -1, attention.head_dim).transpose(1, 2) for part in parts)
    seen = functional.scaled_dot_product_attention(
        _turned(query, *turns),
        _turned(key, *turns),
        value,
        is_causal=True,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return _products(seen.transpose(1, 2).reshape(rows, length, -1), attention.o_proj)[0]


def _products(inputs: torch.Tensor, *layers: nn.Linear) -> tuple[torch.Tensor, ...]:
    """Multiply an input by several matrices at once."""
    weights = torch.cat([layer.weight for layer in layers]).to(inputs.dtype)
    biases = [layer.bias for layer in layers if layer.bias is not None]
    products = functional.linear(inputs, weights, torch.cat(biases).to(inputs.dtype) if biases else None)
    return products.split([layer.out_features for layer in layers], -1)


def _normed(stream: torch.Tensor, norm: Any) -> torch.Tensor:
    return stream * torch.rsqrt(stream.square().mean(-1, keepdim=True) + norm.variance_epsilon) * norm.weight


def _turned(heads: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    first, second = heads.float().chunk(2, -1)
    turned = torch.cat([first, second], -1) * cosine + torch.cat([-second, first], -1) * sine
    return turned.to(heads.dtype)
