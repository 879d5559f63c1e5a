"""The training itself: trees in, thin matrices out; it can be stopped at any step and gone on with."""

from __future__ import annotations

import math
import pickle
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.files import write_atomically
from jupyter_turbopilot.training.tree import arrays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from jupyter_turbopilot.training.network import Network
    from jupyter_turbopilot.training.tree import Tree

HIDDEN = -1e4  # what a token sees of those it does not descend from
WARMUP = 30  # steps
STEP, WORDS_STEP = 128, 2048  # tokens of a tree, and words that compete, come in multiples of these
PIECE = 256  # places whose losses are computed at a time: each takes a row of the vocabulary
SAVED_EVERY = 180.0  # seconds


@dataclass
class Schedule:
    """How to train."""

    minutes: float
    rate: float = 3e-4
    text_weight: float = 0.1  # how much the text before the cursor counts
    checks: int = 4  # how often the held-out loss is looked at
    steps: int = 0  # most of them; 0: as many as the time allows


@dataclass
class Log:
    """How it went."""

    steps: int = 0
    seconds: float = 0.0
    samples: int = 0
    tokens: int = 0
    losses: list[tuple[int, float]] = field(default_factory=list)
    held: list[tuple[int, float]] = field(default_factory=list)  # losses on what is held out


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


class Training:
    """A training that can be stopped at any step and gone on with, by a file that it keeps."""

    def __init__(
        self, network: Network, tree_loss: TreeLoss, held_out: Sequence[Tree], schedule: Schedule, path: Path
    ) -> None:
        self.network, self.tree_loss, self.schedule = network, tree_loss, schedule
        self.held_out, self.path = held_out, path
        self.learnt = network.learnt()
        self.optimizer = torch.optim.AdamW(
            self.learnt.values(), lr=schedule.rate, betas=(0.9, 0.95), weight_decay=0.01
        )
        self.log = self._resumed()

    def run(self, trees: Callable[[int], Iterator[Tree]], tell: Callable[[Log, float], None]) -> Log:
        """Train until the time is up; `trees` begins at a step."""
        log, checks = self.log, self.schedule.checks
        if not log.held:
            self._check()
        saved = time.monotonic()
        try:
            for tree in trees(log.steps):
                if self.done >= 1:
                    break
                self._step(tree)
                tell(log, self.done)
                if self.done < 1 and int(self.done * checks) > len(log.held) - 1:
                    self._check()
                if time.monotonic() - saved > SAVED_EVERY:
                    self._save()
                    saved = time.monotonic()
            if log.held and log.held[-1][0] != log.steps:
                self._check()
        finally:
            self._save()
        return log

    @property
    def done(self) -> float:
        """Which share of the training is behind us."""
        schedule, log = self.schedule, self.log
        by_time = log.seconds / (schedule.minutes * 60)
        return min(1.0, max(by_time, log.steps / schedule.steps if schedule.steps else 0.0))

    def _step(self, tree: Tree) -> None:
        begun = time.monotonic()
        log, slope = self.log, 0.5 * (1 + math.cos(math.pi * self.done))
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate * min(1.0, (log.steps + 1) / WARMUP) * slope
        loss = self.tree_loss(tree, self.schedule.text_weight)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.learnt.values(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        log.steps += 1
        log.samples += tree.samples
        log.tokens += len(tree.tokens)
        log.losses.append((log.steps, round(loss.item(), 4)))
        log.seconds += time.monotonic() - begun

    def _check(self) -> None:
        if self.held_out:
            self.log.held.append((self.log.steps, loss_of(self.tree_loss, self.held_out)))

    def _save(self) -> None:
        state = {
            "learnt": {name: part.detach() for name, part in self.learnt.items()},
            "optimizer": self.optimizer.state_dict(),
            "log": asdict(self.log),
        }
        with write_atomically(self.path, TurbopilotError) as partial:
            try:
                torch.save(state, partial)
            except RuntimeError as error:  # which is what torch makes of a full disk
                raise OSError(str(error)) from error

    def _resumed(self) -> Log:
        if not self.path.is_file():
            return Log()
        try:
            state = torch.load(self.path, map_location=self.network.device, weights_only=True)
            with torch.no_grad():
                for name, part in self.learnt.items():
                    part.copy_(state["learnt"][name])
            self.optimizer.load_state_dict(state["optimizer"])
            return Log(**state["log"])
        except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError, pickle.UnpicklingError):
            raise TurbopilotError(
                f"{self.path} belongs to another training, or is damaged. Start again with --fresh."
            ) from None
