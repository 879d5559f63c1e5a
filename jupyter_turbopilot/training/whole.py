"""Trains all weights of a model: plain rows, 16-bit products, and Muon for the matrices."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from jupyter_turbopilot.training.forward import Forward
from jupyter_turbopilot.training.network import best_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from jupyter_turbopilot.models.gguf import Header
    from jupyter_turbopilot.training.loop import Log
    from jupyter_turbopilot.training.network import Network
    from jupyter_turbopilot.training.rows import Marks, Rows

STEP = 8192  # tokens
LOGITS = 2**28  # most scores of what could follow in a step: a big vocabulary takes fewer tokens
SCORE_BYTES = 12  # for each score: itself, its loss and its slope
COMPILERS = ("g++", "clang++", "c++")


def step_bytes(header: Header, length: int, kind: torch.dtype) -> int:
    """Return what a step with rows of a length computes and keeps, as measured and a fifth more."""
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
    """A network all of whose weights learn from rows: short ones, and at last ones as long as the context."""

    network: Network
    marks: Marks
    short: Rows
    long: Rows
    held_out: NDArray[Any]
    text_weight: float = 0.5  # how much the text around cells and answers counts
    compiled: bool = False

    def __post_init__(self) -> None:
        """Choose the numbers to multiply, and compile where that is wanted and there is a compiler."""
        self._type = best_type(self.network.device)
        vocabulary = self.network.model.lm_head.weight.shape[0]
        self._step = min(STEP, LOGITS // vocabulary)
        compiled = self.compiled and any(map(shutil.which, COMPILERS))
        self._forward = Forward(self.network.model, self._type, compiled=compiled)

    def optimizers(self, rate: float) -> list[torch.optim.Optimizer]:
        """Return what changes the matrices, and what changes all else."""
        learnt = self.network.learnt()
        inner = {name: part for name, part in learnt.items() if part.ndim > 1 and ".layers." in name}
        outer = [part for name, part in learnt.items() if name not in inner]
        return [
            torch.optim.Muon(inner.values(), lr=rate, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(outer, lr=rate, betas=(0.9, 0.95), weight_decay=0.0),
        ]

    def batches(self, log: Log) -> Iterator[NDArray[Any]]:
        """Yield the rows of each step from where a log stands."""
        while True:
            yield (self.long if log.falls else self.short).batch(log.steps, self._step)

    def size(self, batch: NDArray[Any]) -> tuple[int, int]:
        """Count the samples and tokens of a step."""
        middle = self.marks.middle
        return len(batch) if middle is None else int((batch == middle).sum()), batch[:, 1:].size

    def loss(self, batch: NDArray[Any]) -> torch.Tensor:
        """Return the mean loss of what is learnt."""
        learnt, answered = self.marks.learnt(batch), self.marks.answered(batch)
        weights = torch.from_numpy(learnt * self.text_weight + answered * (1 - self.text_weight))
        losses = self._of(batch)
        weights = weights.to(losses)
        return (losses * weights).sum() / weights.sum()

    @torch.no_grad()
    def held_loss(self) -> float | None:
        """Return the loss of what stands behind the middle marker in rows that are not trained on."""
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
