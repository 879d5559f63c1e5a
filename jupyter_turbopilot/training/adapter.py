"""Trains thin matrices beside a model's own, on trees of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from jupyter_turbopilot.training.course import arrays

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.training.course import Course, Tree
    from jupyter_turbopilot.training.loop import Log
    from jupyter_turbopilot.training.network import Network

HIDDEN = -1e4  # what a token sees of those it does not descend from
STEP, WORDS_STEP = 128, 2048  # tokens of a tree, and words that compete, come in multiples of these
PIECE = 256  # places whose losses are computed at a time: each takes a row of the vocabulary
TEXT_WEIGHT = 0.1  # how much the text before the cursor counts


class TreeLoss:
    """How wrong the answers of a tree are: what the words that can follow are judged against.

    A big vocabulary costs more than the network. Where `words` are given, only they and what should follow
    compete: nearly all of the vocabulary never stands in code.

    What is computed comes in few sizes: for each that it meets the library keeps a copy of the weights.
    """

    def __init__(self, network: Network, words: Sequence[int] = ()) -> None:
        self.network = network
        rows = network.model.lm_head.weight.shape[0]
        chosen = sorted(set(words))
        self.words = torch.tensor(chosen, dtype=torch.long, device=network.device)
        others = sorted(set(range(rows)) - set(chosen))[: 2 * WORDS_STEP] if chosen else []
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
            position_ids=torch.from_numpy(made["places"])[None].to(device),
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
        """Return the words in use and what follows, filled up with others."""
        words = torch.unique(torch.cat([self.words, targets]))
        others = self.others[~torch.isin(self.others, targets)]
        return torch.cat([words, others[: -len(words) % WORDS_STEP]]).sort().values


@torch.no_grad()
def loss_of(tree_loss: TreeLoss, trees: Sequence[Tree]) -> float:
    """Return the loss of answers that are not trained on, each token counting the same."""
    total = sum(tree_loss(tree, 0.0, whole=True).item() * len(tree.answers) for tree in trees)
    return total / max(1, sum(len(tree.answers) for tree in trees))


@dataclass
class Adapter:
    """What a training with trees consists of."""

    network: Network
    tree_loss: TreeLoss
    course: Course
    held_out: Sequence[Tree]

    def optimizers(self, rate: float) -> list[torch.optim.Optimizer]:
        """Return what changes the matrices."""
        learnt = self.network.learnt().values()
        return [torch.optim.AdamW(learnt, lr=rate, betas=(0.9, 0.95), weight_decay=0.01)]

    def batches(self, log: Log) -> Iterator[Tree]:
        """Yield the trees from where a log stands."""
        return self.course.trees(log.steps)

    def size(self, batch: Tree) -> tuple[int, int]:
        """Count the samples and tokens of a step."""
        return batch.samples, len(batch.tokens)

    def loss(self, batch: Tree) -> torch.Tensor:
        """Return the mean loss of a step."""
        return self.tree_loss(batch, TEXT_WEIGHT)

    def held_loss(self) -> float | None:
        """Return the loss on what is held out."""
        return loss_of(self.tree_loss, self.held_out) if self.held_out else None
