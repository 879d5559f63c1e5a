"""Draw the plots of the results from the tables in research/benchmarks/results.

python research/benchmarks/plots.py

The output depends only on the tables and the version of matplotlib.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from headline import rows, table  # noqa: E402

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RESULTS = Path(__file__).resolve().with_name("results")
PLOTS = RESULTS.with_name("plots")
# Distinct for colour-blind readers.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072b2", "#d55e00", "#009e73", "#8f4e8b", "#606060"
MODELS = {
    "qwen2.5-coder-0.5b": ("Qwen2.5-Coder 0.5 B with adapter (default)", BLUE, "o"),
    "qwen2.5-coder-0.5b, without its adapter": ("Qwen2.5-Coder 0.5 B without adapter", ORANGE, "s"),
    "qwen2.5-coder-1.5b": ("Qwen2.5-Coder 1.5 B with adapter", GREEN, "D"),
    "smollm2-135m": ("SmolLM2 135 M", PURPLE, "^"),
}
COMPLETERS = {
    "turbopilot": ("Turbopilot", BLUE, "o"),
    "turbopilot-no-adapter": ("Turbopilot without adapter", ORANGE, "s"),
    "notebook-intelligence": ("Notebook Intelligence", GREEN, "D"),
    "jupyter-ai": ("Jupyter AI", PURPLE, "^"),
    "jupyterlab-lsp": ("jupyterlab-lsp", GREY, "v"),
}

FILL_STYLES = {"Steady typing": "full", "Typing with pauses": "none", "Slow typing with pauses": "left"}


def cells_of(page: str, name: str) -> list[list[str]]:
    """Return the rows of a page with this first cell, without it."""
    found = [cells for first, cells in rows((RESULTS / page).read_text("utf-8")) if first == name]
    if not found:
        raise LookupError(f"research/benchmarks/results/{page} has no row {name!r}.")
    return found


def numbers(cell: str) -> list[float]:
    """Return the numbers of a cell."""
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", cell)]


def saved_precision(axes: Axes) -> None:
    """Draw precision and keystrokes saved by model and eagerness."""
    for name, (label, color, marker) in MODELS.items():
        points = cells_of("quality.md", name)
        precision, saved = ([100 * float(cells[column]) for cells in points] for column in (1, 2))
        axes.plot(saved, precision, marker=marker, color=color, label=label)
        if color == BLUE:
            for x, y, cells in zip(saved, precision, points, strict=True):
                axes.annotate(
                    cells[0], (x, y), (-8, -12), textcoords="offset points", color=color, ha="right"
                )
    axes.set(
        title="Precision and keystrokes saved (from left to right: quiet, balanced, eager)",
        xlabel="keystrokes saved (%), simulated user who waits for each suggestion",
        ylabel="precision: correct suggestions (%)",
        xlim=(0, 50),
        ylim=(0, 100),
    )
    axes.legend(loc="lower left", fontsize="small")


def peers(axes: Axes) -> None:
    """Draw precision and keystrokes saved of the completers of a JupyterLab, with 95 % intervals."""
    for title, fill in FILL_STYLES.items():
        for name, cells in rows(table("results/peers.md", f"| {title} |"))[1:]:
            saved, precision = ([100 * share for share in numbers(cells[at])] for at in (1, 0))
            if not precision:
                continue  # nothing was shown
            label, color, marker = COMPLETERS[name]
            (x, *x_ends), (y, *y_ends) = saved, precision
            axes.errorbar(
                x, y, xerr=[[x - x_ends[0]], [x_ends[1] - x]], yerr=[[y - y_ends[0]], [y_ends[1] - y]],
                fmt=marker, color=color, fillstyle=fill, elinewidth=0.8, label=f"{label}, {title.lower()}",
            )  # fmt: skip
    axes.set(
        title="Completers in JupyterLab, in real time, with 95 % intervals",
        xlabel="keystrokes saved (%)",
        ylabel="precision: correct suggestions (%)",
        xlim=(-5, 70),
        ylim=(0, 100),
    )
    axes.legend(loc="lower right", fontsize="small")


def main() -> None:
    """Draw all plots."""
    mpl.rcParams["svg.hashsalt"] = "turbopilot"  # makes the files reproducible
    files = {
        ROOT / "docs" / "pictures" / "peers.svg": peers,
        PLOTS / "saved-precision.svg": saved_precision,
    }
    for path, draw in files.items():
        figure = Figure(
            figsize=(7, 4), layout=ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.12), facecolor="white"
        )
        axes = figure.subplots()
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
        draw(axes)
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
