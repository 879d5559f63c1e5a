"""The training loop: resumable at any step, also with more time."""

from __future__ import annotations

import logging
import math
import pickle
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.util.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from turbopilot_research.train.adapter import Adapter
    from turbopilot_research.train.all_weights import WholeModel

LOG = logging.getLogger(__name__)
WARMUP = 30  # steps
SAVED_EVERY = 180.0  # seconds
SMOOTH = 50  # steps averaged for each point of the plot
PAUSED = 60.0  # seconds; a step that took longer than this and twice the previous one was interrupted


@dataclass
class Schedule:
    """The learning rate schedule: constant, then decaying to zero."""

    minutes: float
    rate: float = 3e-4
    fall: float = 1.0  # share of the time in which the rate decays
    checks: int = 4  # number of held-out evaluations
    steps: int = 0  # maximum; 0: limited by time only


@dataclass
class Log:
    """The progress of a training."""

    steps: int = 0
    seconds: float = 0.0
    samples: int = 0
    tokens: int = 0
    losses: list[tuple[int, float]] = field(default_factory=list)
    held: list[tuple[int, float]] = field(default_factory=list)  # held-out losses
    falls_from: float = -1.0  # the progress at which the rate started to decay; negative: not yet
    towards: float = 0.0  # the planned minutes at that time

    @property
    def falls(self) -> bool:
        """Whether the rate is decaying."""
        return self.falls_from >= 0


class DivergedError(TurbopilotError):
    """The loss, the gradient norm or a weight is no longer finite."""

    def __init__(self, step: int, rate: float) -> None:
        super().__init__(
            f"Training stopped in step {step}: the loss or a weight is not finite. Run it again with a "
            f"lower --rate than {rate:g}: it resumes from the last save, if there is one. "
            "Add --fresh if it stops again."
        )


class Training:
    """A training that can be interrupted at any step and resumed from its file.

    A second file keeps the state before the rate starts to decay, so that a training that is given more time
    later continues at the full rate.

    `origin` is a digest of the initial model. The state of a training with another origin is not resumed.
    """

    def __init__(
        self, learning: Adapter | WholeModel, schedule: Schedule, path: Path, origin: str = ""
    ) -> None:
        self.learning, self.schedule, self.path, self.origin = learning, schedule, path, origin
        self.learnt = learning.network.learnt()
        self.optimizers = learning.optimizers(schedule.rate)
        self.log = self._resumed()
        self._took = 0.0  # seconds of the step before

    @property
    def steady_path(self) -> Path:
        """The file with the state before the rate started to decay."""
        return self.path.with_suffix(".steady")

    def run(self, tell: Callable[[Log, float], None]) -> Log:
        """Train until the time is up; call `tell` after each step with the log and the progress."""
        log, checks = self.log, self.schedule.checks
        if not log.held:
            self._check()
        saved = time.monotonic()
        is_sound = True
        try:
            for batch in self._batches():
                self._step(batch)
                tell(log, self.done)
                if self.done < 1 and int(self.done * checks) > len(log.held) - 1:
                    self._check()
                if time.monotonic() - saved > SAVED_EVERY:
                    self._save(self.path)
                    saved = time.monotonic()
            if log.held and log.held[-1][0] != log.steps:
                self._check()
        except DivergedError:
            is_sound = False  # keep the earlier save
            raise
        finally:
            if is_sound:
                self._save(self.path)
        return log

    def _batches(self) -> Iterator[Any]:
        batches = self.learning.batches(self.log)
        while self.done < 1:
            if not self.log.falls and self.done >= 1 - self.schedule.fall:
                self._fall()
            if (batch := next(batches, None)) is None:
                return
            yield batch

    def _fall(self) -> None:
        if self.schedule.fall < 1:
            self._save(self.steady_path)
        self.log.falls_from, self.log.towards = self.done, self.schedule.minutes

    @property
    def done(self) -> float:
        """The progress of the training, from 0 to 1."""
        schedule, log = self.schedule, self.log
        by_time = log.seconds / (schedule.minutes * 60)
        return min(1.0, max(by_time, log.steps / schedule.steps if schedule.steps else 0.0))

    @property
    def slope(self) -> float:
        """The current share of the full rate: 1, then cosine decay."""
        begun = self.log.falls_from
        if not self.log.falls or self.done < begun:  # with more time since then, continue at the full rate
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (self.done - begun) / (1 - begun)))

    def _step(self, batch: Any) -> None:
        begun = time.monotonic()
        log = self.log
        rate = self.schedule.rate * min(1.0, (log.steps + 1) / WARMUP) * self.slope
        loss = self.learning.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.learnt.values(), 1.0)
        self._need_finite(loss.item())
        self._need_finite(norm.item())
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        samples, tokens = self.learning.size(batch)
        log.steps += 1
        log.samples += samples
        log.tokens += tokens
        log.losses.append((log.steps, round(loss.item(), 4)))
        took = time.monotonic() - begun
        log.seconds += min(took, max(PAUSED, 2 * self._took))
        self._took = took

    def _check(self) -> None:
        if (loss := self.learning.held_loss()) is not None:
            self._need_finite(loss)
            self.log.held.append((self.log.steps, loss))

    def _need_finite(self, value: float) -> None:
        if not math.isfinite(value):
            raise DivergedError(self.log.steps + 1, self.schedule.rate)

    def _save(self, path: Path) -> None:
        if not all(part.isfinite().all() for part in self.learnt.values()):
            raise DivergedError(self.log.steps, self.schedule.rate)
        state = {
            "learnt": {name: part.detach() for name, part in self.learnt.items()},
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "log": asdict(self.log),
            "origin": self.origin,
        }
        with write_atomically(path, TurbopilotError) as partial:
            try:
                torch.save(state, partial)
            except RuntimeError:  # torch's unspecific error for a full disk
                raise OSError("the disk may be full") from None

    def _resumed(self) -> Log:
        log = self._loaded(self.path)
        if log.falls and log.towards < self.schedule.minutes and self.steady_path.is_file():
            log = self._loaded(self.steady_path)
        return log

    def _loaded(self, path: Path) -> Log:
        if not path.is_file():
            return Log()
        try:
            state = torch.load(path, map_location=self.learning.network.device, weights_only=True)
            if state.get("origin", "") != self.origin:
                old = path.rename(path.with_name(f"{path.name}.old"))
                LOG.warning("%s belongs to another model. Renamed it to %s. Starting over.", path, old.name)
                return Log()
            with torch.no_grad():
                for name, part in self.learnt.items():
                    part.copy_(state["learnt"][name])
            for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(kept)
            return Log(**state["log"])
        except (OSError, RuntimeError, KeyError, TypeError, ValueError, EOFError, pickle.UnpicklingError):
            raise TurbopilotError(
                f"{path} belongs to another training, or is damaged. Start again with --fresh."
            ) from None


def draw(log: Log, target: Path) -> Path | None:
    """Plot the loss by step; return None without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    losses = [loss for _, loss in log.losses]
    latest = [losses[max(0, at - SMOOTH) : at] for at in range(1, len(losses) + 1)]
    steps = [step for step, _ in log.losses]
    axes.plot(steps, [sum(part) / len(part) for part in latest], label=f"training, mean of {SMOOTH}")
    if log.held:
        axes.plot([step for step, _ in log.held], [loss for _, loss in log.held], "o-", label="held out")
    axes.set(xlabel="steps", ylabel="loss per token")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(target, metadata={"Date": None})
    return target
