"""The report on usage logs, as tables and plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.plugins.usage.usage_statistics import CHECKS, ENOUGH
from jupyter_turbopilot.terminal.report import write_report
from jupyter_turbopilot.util.files import count_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from jupyter_turbopilot.plugins.usage.usage_statistics import Figures, Interval, LogStatistics, Share


def tables(found: LogStatistics, logs: int) -> str:
    """Return the statistics as Markdown tables."""
    saved, (median, slow) = found.saved, found.latency
    latency = f"median {_time(*median)}, 95th percentile {_time(*slow)}"
    less = "minus one keystroke per acceptance and the characters typed before it"
    counts = (
        count_of(logs, "log"),
        count_of(found.requests, "request"),
        f"{count_of(len(found.suggested), 'suggestion')} shown",
        f"{found.written} characters written",
    )
    conditions = found.by(lambda one: one.condition)
    if len(conditions) == 1:
        conditions = {}
    lines = [
        f"{', '.join(counts)}. {_units(found)}",
        "",
        f"Keystrokes saved: {_share(saved)} of the characters written ({saved.part} of {saved.of}, {less}).",
        "",
        *_table("all suggestions", {"all": found.of(found.suggested)}),
        *_rows({", ".join(condition): figures for condition, figures in conditions.items()}),
        "",
        f"Latency, from the request to the first text: {latency}.",
        "",
        *_table("position", found.by(lambda one: one.request.at)),
        "",
        *_table("hour", {f"{hour}:00": one for hour, one in found.by(lambda one: one.hour).items()}),
    ]
    if found.dropped or found.unknown:
        refer = "refers" if found.unknown == 1 else "refer"
        unknown = f"{count_of(found.unknown, 'event')} {refer} to a request that is not in the log"
        lines += ["", f"{count_of(found.dropped, 'line')} could not be written; {unknown}."]
    return "\n".join(lines) + "\n"


def _units(found: LogStatistics) -> str:
    """Describe the resampled units of the intervals."""
    if len(found.units) < ENOUGH and len(found.writers) < ENOUGH:
        return f"No intervals: they need at least {ENOUGH} documents."
    if found.by_log:
        units, writers = count_of(len(found.units), "log"), count_of(len(found.writers), "log")
    else:
        units = count_of(len(found.units), "document")
        writers = count_of(len(found.writers), "session")
    saved = "" if units == writers else f" (keystrokes saved: from {writers})"
    return f"95 % bootstrap intervals from {units}{saved}; fewer than {ENOUGH} give none."


def _table(name: str, figures: Mapping[str, Figures]) -> list[str]:
    return [
        f"| {name} | shown | accepted | acceptance | characters retained {' | '.join(CHECKS)} |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *_rows(figures),
    ]


def _rows(figures: Mapping[str, Figures]) -> list[str]:
    rows = []
    for name, one in figures.items():
        retained = " | ".join(_share(one.retained[check]) for check in CHECKS)
        acceptance = one.acceptance
        rows.append(f"| {name} | {acceptance.of} | {acceptance.part} | {_share(acceptance)} | {retained} |")
    return rows


def _time(milliseconds: float, interval: Interval) -> str:
    return f"{milliseconds:.0f} ms" + (f" ({interval[0]:.0f} to {interval[1]:.0f})" if interval else "")


def _share(share: Share) -> str:
    if not share.of:
        return ""
    return f"{share.value:.3f}" + (" ({:.2f} to {:.2f})".format(*share.interval) if share.interval else "")


def write(path: Path, found: LogStatistics, logs: int) -> list[Path]:
    """Write a Markdown file and, if matplotlib is installed, plots next to it."""
    text = f"# Suggestion outcomes\n\n{tables(found, logs)}"
    return write_report(path, text, lambda figure: _plot(figure, found))


def _plot(figure: Figure, found: LogStatistics) -> None:
    figure.set_size_inches(10, 6.4)
    (left, right), (below, last) = figure.subplots(2, 2)
    positions, hours = found.by(lambda one: one.request.at), found.by(lambda one: one.hour)
    _bars(left, "acceptance by position", {name: one.acceptance for name, one in positions.items()})
    left.tick_params(axis="x", labelrotation=30)
    _bars(right, "acceptance by hour", {str(hour): one.acceptance for hour, one in hours.items()})
    ms = sorted(one.request.ms for one in found.suggested)
    below.step(ms, [(n + 1) / len(ms) for n in range(len(ms))], where="post")
    below.set(title="time to the first text", xlabel="ms", ylabel="share of the suggestions")
    if ms and ms[-1] > 0:
        below.set_xscale("symlog", linthresh=10)
    _bars(last, "accepted characters retained", found.of(found.suggested).retained)


def _bars(axis: Axes, title: str, shares: Mapping[str, Share]) -> None:
    """Draw shares with intervals; omit undefined shares, which would look like 0."""
    known = {name: share for name, share in shares.items() if share.of}
    values = [share.value for share in known.values()]
    axis.bar([*known], values)
    for place, share in enumerate(known.values()):
        if share.interval:
            low, high = share.interval
            error = [[max(0.0, share.value - low)], [max(0.0, high - share.value)]]
            axis.errorbar(place, share.value, yerr=error, capsize=3, color="black")
    axis.set(title=title, ylim=(0, 1))
