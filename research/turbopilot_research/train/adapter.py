"""Train LoRA matrices on trees of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from turbopilot_research.train.trees import arrays

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from turbopilot_research.train.loop import Log
    from turbopilot_research.train.network import Network
    from turbopilot_research.train.trees import Course, Tree

HIDDEN = -1e4  # the attention bias that masks tokens that are not ancestors
STEP, TOKENS_STEP = 128, 2048  # pad trees and candidate tokens to multiples of these
PIECE = 256  # positions per loss computation: each needs one row of logits
TEXT_WEIGHT = 0.1  # weight of the text before the cursor


class TreeLoss:
    """The loss of a tree's answers.

    Computing the logits of a large vocabulary costs more than the network. With `words`, the softmax covers
    only these and the target tokens: most of a vocabulary never occurs in code.

    Tensors are padded to few sizes: for each new size the library keeps a copy of the weights.
    """

    def __init__(self, network: Network, words: Sequence[int] = ()) -> None:
        self.network = network
        rows = network.model.lm_head.weight.shape[0]
        chosen = sorted(set(words))
        self.words = torch.tensor(chosen, dtype=torch.long, device=network.device)
        others = sorted(set(range(rows)) - set(chosen))[: 2 * TOKENS_STEP] if chosen else []
        self.others = torch.tensor(others, dtype=torch.long, device=network.device)

    def __call__(self, tree: Tree, text_weight: float, *, whole: bool = False) -> torch.Tensor:
        """Return the mean loss."""
        model, device = self.network.model, self.network.device
        made = arrays(tree, STEP)
        kind = next(model.parameters()).dtype
        sees = torch.from_numpy(made["sees"]).to(device)
        hidden = torch.zeros(sees.shape, dtype=kind, device=device).masked_fill_(~sees, HIDDEN)
        states = model.model(
            input_ids=torch.from_numpy(made["tokens"])[None].to(device),
            attention_mask=hidden[None, None],
            position_ids=torch.from_numpy(made["positions"])[None].to(device),
            use_cache=False,
        ).last_hidden_state[0]
        answers = made["answers"]
        count = len(made["nodes"]) if text_weight else answers
        room = -(-count // PIECE) * PIECE
        nodes, targets = (torch.zeros(room, dtype=torch.long, device=device) for _ in range(2))
        nodes[:count] = torch.from_numpy(made["nodes"][:count])
        targets[:count] = torch.from_numpy(made["targets"][:count])
        weights = torch.zeros(room, device=device)
        weights[:count] = text_weight
        weights[:answers] = 1.0
        head = model.lm_head.weight
        if len(self.words) and not whole:
            words = self._competing(targets)
            head, targets = head[words], torch.searchsorted(words, targets)
        states = states[nodes]
        total = torch.zeros((), device=device)
        for start in range(0, room, PIECE):
            part = slice(start, start + PIECE)
            loss = functional.cross_entropy((states[part] @ head.T).float(), targets[part], reduction="none")
            total = total + (loss * weights[part]).sum()
        return total / weights.sum()

    def _competing(self, targets: torch.Tensor) -> torch.Tensor:
        """Return the candidate tokens and the targets, padded with other tokens."""
        words = torch.unique(torch.cat([self.words, targets]))
        others = self.others[~torch.isin(self.others, targets)]
        return torch.cat([words, others[: -len(words) % TOKENS_STEP]]).sort().values


@torch.no_grad()
def loss_of(tree_loss: TreeLoss, trees: Sequence[Tree]) -> float:
    """Return the mean loss per token of held-out answers, over the whole vocabulary."""
    total = sum(tree_loss(tree, 0.0, whole=True).item() * len(tree.answers) for tree in trees)
    return total / max(1, sum(len(tree.answers) for tree in trees))


@dataclass
class Adapter:
    """Trees of samples to train LoRA matrices on."""

    network: Network
    tree_loss: TreeLoss
    course: Course
    held_out: Sequence[Tree]

    def optimizers(self, rate: float) -> list[torch.optim.Optimizer]:
        """Return the optimizer of the LoRA matrices."""
        learnt = self.network.learnt().values()
        return [torch.optim.AdamW(learnt, lr=rate, betas=(0.9, 0.95), weight_decay=0.01)]

    def batches(self, log: Log) -> Iterator[Tree]:
        """Iterate over the trees, starting at the step of a log."""
        return self.course.trees(log.steps)

    def size(self, batch: Tree) -> tuple[int, int]:
        """Return the samples and tokens of a step."""
        return batch.samples, len(batch.tokens)

    def loss(self, batch: Tree) -> torch.Tensor:
        """Return the mean loss of a step."""
        return self.tree_loss(batch, TEXT_WEIGHT)

    def held_loss(self) -> float | None:
        """Return the held-out loss, or None without held-out trees."""
        return loss_of(self.tree_loss, self.held_out) if self.held_out else None
