"""Reports of commands: a Markdown file, with plots next to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.protocol.errors import TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.figure import Figure


def write_report(path: Path, text: str, plot: Callable[[Figure], None]) -> list[Path]:
    """Write a text and, if matplotlib is installed, plots next to it; the output is reproducible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        plots = _save(path.with_suffix(".svg"), plot)
        pictures = "".join(f"\n![{file.stem}]({file.name})\n" for file in plots)
        path.write_text(f"{text}{pictures}", "utf-8")
    except OSError as error:
        raise TurbopilotError(f"The report could not be written: {error.strerror}.") from None
    return [path, *plots]


def _save(target: Path, plot: Callable[[Figure], None]) -> list[Path]:
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        return []
    figure = Figure(layout="constrained")
    plot(figure)
    with mpl.rc_context({"svg.hashsalt": "turbopilot"}):
        figure.savefig(target, metadata={"Date": None})
    return [target]
