"""The report on replayed notebooks, as a table and plots."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.suggestion.gate import READING
from turbopilot_research.evaluate.scoring import Tally, interval, saved_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from turbopilot_research.evaluate.replay import TypingResult


OTHER_READINGS = (1, 8)  # other assumed costs of reading a suggestion
WITH_CONTEXT, WITHOUT_CONTEXT = ", with kernel context", ", without kernel context"


def table(results: Mapping[str, TypingResult]) -> str:
    """Return the results by configuration and by kind of position as a Markdown table."""
    lines = [
        "| | precision | keystrokes saved | shown per 100 keystrokes | ms median, p95 | keystrokes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, typed in results.items():
        notebooks = list(typed.notebooks.values())
        precision = _with_interval(notebooks, lambda t: t.precision)
        saved = _with_interval(notebooks, lambda t: t.share_saved)
        ms = sorted(typed.ms) or [0.0]
        total = typed.total
        lines.append(
            f"| {name} | {precision} | {saved} | {total.per_hundred:.1f} "
            f"| {statistics.median(ms):.0f}, {ms[int(len(ms) * 0.95)]:.0f} | {total.keys} |"
        )
        for kind, tally in sorted(typed.kinds.items(), key=lambda pair: -pair[1].saved):
            share = tally.saved / max(1, total.typed)
            often = 100 * tally.shown / max(1, total.keys)
            lines.append(f"| {name}, {kind} | {tally.precision:.3f} | {share:.3f} | {often:.1f} | | |")
    lines += _savings(results)
    for name, typed in results.items():
        lines.append(f"\n{name}: {typed.invalid} shown suggestions cannot become valid code.")
        if pace := typed.pace:
            lines.append(
                f"{pace.unanswered} of {pace.asked} requests were not answered before the next keystroke "
                f"and have no time; {pace.continued} continued a running generation, {pace.ended} restarted "
                f"one that agreed with it; {pace.refused} failed."
            )
            if pace.cpu is not None:
                lines.append(
                    f"{1000 * pace.cpu / max(1, typed.total.typed):.0f} CPU seconds for 1000 characters."
                )
        if (names := typed.names).there or names.missing:
            lines.append(
                f"Of the names in them, {names.there} exist in the kernel, {names.missing} are missing "
                f"({names.share:.1%}), {names.unknown} are unknown."
            )
    if any(len(typed.notebooks) == 1 for typed in results.values()):
        lines.append("\nThere are no intervals, because they need at least two notebooks.")
    lines += _gains(results)
    return "\n".join(lines) + "\n"


def _savings(results: Mapping[str, TypingResult]) -> list[str]:
    """Return a table of the net savings and the accepted suggestions."""
    head = (
        f"net saved at {READING}",
        f"at {', '.join(map(str, OTHER_READINGS))}",
        "characters per acceptance",
        "finish the statement",
        "Tabs per statement",
        "nothing left open",
        "changed, reversed, flickered per 100 shown",
    )
    lines = ["", f"| | {' | '.join(head)} |", f"| --- |{' --- |' * len(head)}"]
    for name, typed in results.items():
        notebooks, total = list(typed.notebooks.values()), typed.total
        net = _with_interval(notebooks, lambda t: t.net())
        others = ", ".join(f"{total.net(reading):.3f}" for reading in OTHER_READINGS)
        counts = total.grown, total.reversed, total.flickered
        unsteady = ", ".join(f"{total.per_shown(count):.1f}" for count in counts)
        lines.append(
            f"| {name} | {net} | {others} | {total.length:.1f} | {total.share_finished:.2f} "
            f"| {total.tabs:.2f} | {total.share_closed:.3f} | {unsteady} |"
        )
    return lines


def _with_interval(notebooks: Sequence[Tally], figure: Callable[[Tally], float]) -> str:
    """Return a metric over all notebooks, with its interval if there are several."""
    text = f"{figure(sum(notebooks, start=Tally())):.3f}"
    if len(notebooks) > 1:
        low, high = interval(notebooks, figure)
        text += f" ({low:.2f} to {high:.2f})"
    return text


def _gains(results: Mapping[str, TypingResult]) -> list[str]:
    """Describe how much more is saved with kernel context, with bootstrap intervals."""
    lines = []
    for name, typed in results.items():
        other = results.get(name.replace(WITH_CONTEXT, WITHOUT_CONTEXT))
        if not name.endswith(WITH_CONTEXT) or not other:
            continue
        lines.append(f"\n{name}: saves {saved_ratio(typed.notebooks, other.notebooks)}.")
    return lines


def write(path: Path, head: str, results: Mapping[str, TypingResult]) -> list[Path]:
    """Write a Markdown file and, if matplotlib is installed, plots next to it."""
    text = f"# Suggestion quality\n\n{head}\n\n{table(results)}"
    return write_report(path, text, lambda figure: _plot(figure, results))


def _plot(figure: Figure, results: Mapping[str, TypingResult]) -> None:
    figure.set_size_inches(10, 3.4)
    left, right = figure.subplots(1, 2)
    for name, typed in results.items():
        notebooks = [t for t in typed.notebooks.values() if t.shown]
        left.scatter(
            [t.share_saved for t in notebooks], [t.precision for t in notebooks], s=14, label=name, alpha=0.6
        )
        color, total = left.collections[-1].get_facecolor(), typed.total
        left.scatter([total.share_saved], [total.precision], s=80, color=color, edgecolor="black")
        ms = sorted(typed.ms)
        right.step(ms, [(n + 1) / len(ms) for n in range(len(ms))], where="post", label=name)
    left.set(xlabel="keystrokes saved", ylabel="precision", title="each notebook, and all together")
    right.set(
        xlabel="ms",
        ylabel="share of the completions",
        title="time to the completion, or to its first text in real time",
        xscale="log",
    )
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)


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
