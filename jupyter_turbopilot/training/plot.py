"""Draws how a training went."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_turbopilot.training.loop import Log

SMOOTH = 50  # steps a point of the curve stands for


def draw(log: Log, target: Path) -> Path | None:
    """Draw the loss by steps, where matplotlib is installed."""
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
    axes.set(xlabel="steps", ylabel="loss of a token")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(target, metadata={"Date": None})
    return target
