"""Train all weights of a model: plain rows, mixed precision, and Muon for matrices."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from turbopilot_research.train.network import best_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from jupyter_turbopilot.models.gguf import Header
    from turbopilot_research.train.loop import Log
    from turbopilot_research.train.network import Network
    from turbopilot_research.train.rows import Marks, Rows

LOG = logging.getLogger(__name__)
STEP = 8192  # tokens
TEXT_WEIGHT = 0.5  # weight of the text outside of answers
LOGITS = 2**28  # maximum logits per step: a large vocabulary allows fewer tokens
SCORE_BYTES = 12  # per logit: its value, loss and gradient
COMPILERS = ("g++", "clang++", "c++")


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
        self.compiled = self.compiled and any(map(shutil.which, COMPILERS))
        for layer in self.network.model.model.layers if self.compiled else ():
            layer.compile(dynamic=False)  # all layers have the same shape: one compilation serves them all

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
        scores = self._scores(tokens[:, :-1]).float()
        targets = tokens[:, 1:]
        return functional.cross_entropy(scores.flatten(0, 1), targets.flatten(), reduction="none").view_as(
            targets
        )

    def _scores(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the logits; fall back to uncompiled layers if compilation fails."""
        model, mixed = self.network.model, self._type != torch.float32
        try:
            with torch.autocast(self.network.device.type, self._type, enabled=mixed):
                scores: torch.Tensor = model(input_ids=tokens, use_cache=False).logits
        except RuntimeError:  # compilation also needs Python's headers and OpenMP
            if not self.compiled:
                raise
            LOG.warning("The layers could not be compiled: each training step takes longer.")
            self.compiled = False
            torch.compiler.set_stance("force_eager")
            return self._scores(tokens)
        return scores
