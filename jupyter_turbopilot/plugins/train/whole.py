"""Train all weights of a model: plain rows, mixed precision, and Muon for matrices.

The forward pass is written out, with fused projections and blockwise attention. On a CPU, the compiled form
takes about half the time of the library's implementation.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn import functional

from jupyter_turbopilot.plugins.train.network import best_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from jupyter_turbopilot.models.gguf import Header
    from jupyter_turbopilot.plugins.train.loop import Log
    from jupyter_turbopilot.plugins.train.network import Network
    from jupyter_turbopilot.plugins.train.rows import Marks, Rows

LOG = logging.getLogger(__name__)
STEP = 8192  # tokens
TEXT_WEIGHT = 0.5  # weight of the text outside of answers
LOGITS = 2**28  # maximum logits per step: a large vocabulary allows fewer tokens
SCORE_BYTES = 12  # per logit: its value, loss and gradient
COMPILERS = ("g++", "clang++", "c++")
BLOCK = 128  # minimum tokens per attention block
Turns = tuple[torch.Tensor, torch.Tensor]
Product = tuple[torch.Tensor, torch.Tensor | None]  # a weight matrix and a bias


def step_bytes(header: Header, length: int, kind: torch.dtype) -> int:
    """Return the memory of a training step with rows of that length, as measured plus 20%."""
    vocabulary = next(part.shape[1] for part in header.parts if part.name == "token_embd.weight")
    tokens = max(length, min(STEP, LOGITS // vocabulary))
    layer = (
        header.number("attention.head_count") * length
        + 10 * header.number("embedding_length")
        + 4 * header.number("feed_forward_length")
    )
    return tokens * (header.number("block_count") * layer * kind.itemsize + SCORE_BYTES * vocabulary)


@dataclass
class WholeModel:
    """A network whose weights are all trained on rows: short ones, then ones as long as the context."""

    network: Network
    marks: Marks
    short: Rows
    long: Rows
    held_out: NDArray[Any]
    compiled: bool = False

    def __post_init__(self) -> None:
        """Choose the number type, and compile if requested and possible."""
        self._type = best_type(self.network.device)
        vocabulary = self.network.model.lm_head.weight.shape[0]
        self._step = min(STEP, LOGITS // vocabulary)
        compiled = self.compiled and any(map(shutil.which, COMPILERS))
        self._forward = Forward(self.network.model, self._type, compiled=compiled)

    def optimizers(self, rate: float) -> list[torch.optim.Optimizer]:
        """Return the optimizers of the matrices and of all other parameters."""
        learnt = self.network.learnt()
        inner = {name: part for name, part in learnt.items() if part.ndim > 1 and ".layers." in name}
        outer = [part for name, part in learnt.items() if name not in inner]
        return [
            torch.optim.Muon(inner.values(), lr=rate, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(outer, lr=rate, betas=(0.9, 0.95), weight_decay=0.0),
        ]

    def batches(self, log: Log) -> Iterator[NDArray[Any]]:
        """Iterate over the rows of all steps, starting at the step of a log."""
        while True:
            yield (self.long if log.falls else self.short).batch(log.steps, self._step)

    def size(self, batch: NDArray[Any]) -> tuple[int, int]:
        """Return the samples and tokens of a step."""
        middle = self.marks.middle
        return len(batch) if middle is None else int((batch == middle).sum()), batch[:, 1:].size

    def loss(self, batch: NDArray[Any]) -> torch.Tensor:
        """Return the weighted mean loss of a batch."""
        learnt, answered = self.marks.learnt(batch), self.marks.answered(batch)
        weights = torch.from_numpy(learnt * TEXT_WEIGHT + answered * (1 - TEXT_WEIGHT))
        losses = self._of(batch)
        weights = weights.to(losses)
        return (losses * weights).sum() / weights.sum()

    @torch.no_grad()
    def held_loss(self) -> float | None:
        """Return the loss of held-out answers, or None without held-out rows."""
        if not len(self.held_out):
            return None
        total = count = 0.0
        size = max(1, self._step // (self.held_out.shape[1] - 1))
        for start in range(0, len(self.held_out), size):
            rows = self.held_out[start : start + size]
            answered = torch.from_numpy(self.marks.answered(rows))
            losses = self._of(rows)
            total += losses[answered.to(losses.device)].sum().item()
            count += answered.sum().item()
        return total / count

    def _of(self, rows: NDArray[Any]) -> torch.Tensor:
        tokens = torch.from_numpy(rows.astype("int64")).to(self.network.device)
        scores = self._forward(tokens[:, :-1])
        targets = tokens[:, 1:]
        return functional.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="none").view_as(
            targets
        )


class Weights(NamedTuple):
    """A layer's weights: its norms and projections."""

    norms: tuple[torch.Tensor, torch.Tensor]
    attending: tuple[Product, ...]
    attended: tuple[Product, ...]
    widening: tuple[Product, ...]
    narrowing: tuple[Product, ...]

    @classmethod
    def of(cls, layer: Any) -> Weights:
        """Extract the weights from the library's modules."""
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
    """Compute the logits of rows."""

    def __init__(self, model: Any, kind: torch.dtype, *, compiled: bool) -> None:
        """Use the number type `kind` for multiplications."""
        self.model, self.kind = model, kind
        self.epsilon: float = model.config.rms_norm_eps
        # All layers have the same shape, so one compilation serves them all.
        self._layer: Callable[..., torch.Tensor] = (
            torch.compile(_layer, dynamic=False) if compiled else _layer
        )

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the logits at each position."""
        model, head = self.model.model, self.model.lm_head
        stream = model.embed_tokens(tokens).float()
        turns = model.rotary_emb(stream, torch.arange(tokens.shape[1], device=tokens.device)[None])
        for layer in model.layers:
            size = layer.self_attn.head_dim
            stream = self._through(stream, turns, Weights.of(layer), size)
        stream = _normed(stream, model.norm.weight, self.epsilon).to(self.kind)
        return _products(stream, ((head.weight, head.bias),))[0].float()

    def _through(self, stream: torch.Tensor, turns: Turns, weights: Weights, head: int) -> torch.Tensor:
        """Run a layer; fall back to the uncompiled function if compilation fails."""
        try:
            return self._layer(stream, turns, weights, head, self.epsilon, self.kind)
        except RuntimeError:  # compilation also needs Python's headers and OpenMP
            if self._layer is _layer:
                raise
            LOG.warning("The layers could not be compiled: each training step takes about twice as long.")
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
    """Compute causal attention block by block; on a GPU use the library's implementation."""
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
