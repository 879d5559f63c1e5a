"""Draw what was measured, as SVG files that stand in results/."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

mpl.use("svg")
from matplotlib import pyplot as plt

KINDS = {"append": "at the end of a cell", "edit": "in a finished cell", "hop": "two cells in turns"}


def shares(path: Path, times: Mapping[str, Mapping[str, Sequence[float]]], title: str) -> None:
    """Draw which share of the keys was answered within which time, for each kind of typing."""
    mpl.rcParams["svg.hashsalt"] = "turbopilot"  # the same figures make the same file
    figure, axes = plt.subplots(1, len(KINDS), figsize=(10, 3.2), sharey=True)
    for axis, (kind, words) in zip(axes, KINDS.items(), strict=True):
        for name, by_kind in times.items():
            found = sorted(by_kind[kind])
            axis.step(found, [(n + 1) / len(found) for n in range(len(found))], where="post", label=name)
        axis.set_xscale("log")
        axis.set_xlabel("ms")
        axis.set_title(words, fontsize=10)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("share of the keys answered")
    axes[0].legend(fontsize=8)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
