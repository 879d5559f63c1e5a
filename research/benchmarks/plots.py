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
        for name, cells in rows(table("peers.md", f"| {title} |"))[1:]:
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


def notebook_length(axes: Axes) -> None:
    """Draw the time to evaluate a keystroke's tokens by the length of the notebook."""
    lengths = {"200": 200, "1 000": 1000, "2 000": 2000}
    ms = [numbers(cells_of("speed.md", name)[0][1]) for name in lengths]
    settings = (("with flash attention", ORANGE, "s"), ("without (default on a CPU)", BLUE, "o"))
    for column, (label, color, marker) in enumerate(settings):
        axes.plot(
            list(lengths.values()), [pair[column] for pair in ms], marker=marker, color=color, label=label
        )
    axes.set(
        title="Time to evaluate four new tokens, by length of the notebook",
        xlabel="tokens of the notebook in the KV cache",
        ylabel="milliseconds (median of 15)",
        xlim=(0, 2100),
        ylim=(0, 160),
    )
    axes.legend(loc="upper left")


def first_frame(axes: Axes) -> None:
    """Draw the time to the first frame on an idle and on a busy machine."""
    halves = {"held-out": "held-out half", "all": "all notebooks"}
    for offset, load, label in ((-0.2, "idle", "idle machine"), (0.2, "busy", "both cores busy")):
        ms = [ms for half in halves for ms in numbers(cells_of("pace.md", f"{half}, 200 ms, {load}")[0][3])]
        bars(axes, offset, ms, label)
    names = [f"{name}\n{part}" for name in halves.values() for part in ("median", "95th percentile")]
    axes.set_xticks(range(len(names)), names)
    axes.set(
        title="Time to the first text of a suggestion, one key every 200 ms",
        ylabel="milliseconds from the request",
        ylim=(0, 450),
    )
    axes.legend(loc="upper right")


def index(axes: Axes) -> None:
    """Draw the keystrokes saved with and without the notebook index."""
    for offset, name in ((-0.2, "without the index"), (0.2, "with the index")):
        runs = (cells_of("index-gain.md", run)[0] for run in (name, f"{name}, second run"))
        bars(axes, offset, [100 * float(cells[1]) for cells in runs], name)
    axes.set_xticks([0, 1], ["first run", "second run"])
    axes.set(
        title="Keystrokes saved with other notebooks of the same package indexed",
        ylabel="keystrokes saved (%), 1 200 requests",
        ylim=(0, 50),
    )
    axes.legend(loc="upper left")


def bars(axes: Axes, offset: float, heights: list[float], label: str) -> None:
    """Draw one bar per group, with its value."""
    places = [place + offset for place in range(len(heights))]
    drawn = axes.bar(places, heights, 0.38, color=BLUE if offset < 0 else ORANGE, label=label)
    axes.bar_label(drawn, fmt="%g", padding=2)


def main() -> None:
    """Draw all plots."""
    mpl.rcParams["svg.hashsalt"] = "turbopilot"  # makes the files reproducible
    files = {
        ROOT / "docs" / "pictures" / "peers.svg": peers,
        PLOTS / "saved-precision.svg": saved_precision,
        PLOTS / "notebook-length.svg": notebook_length,
        PLOTS / "first-frame.svg": first_frame,
        PLOTS / "index.svg": index,
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
