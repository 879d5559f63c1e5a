"""The report of a study: what its logs come to, as tables and as plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.evaluate.study_figures import ENOUGH, LATER, SOON, Figured, read_log
from jupyter_turbopilot.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from jupyter_turbopilot.evaluate.study_figures import Event, Figures, Interval, Share

_HEAD = (
    "| {what} | shown | taken | acceptance | of the characters taken, left after {soon} s | {later} min |\n"
    "| --- | --- | --- | --- | --- | --- |"
)


def figured(logs: Sequence[Iterable[Event]]) -> Figured:
    """Return the figures of some logs; each is read to its end before the next."""
    return Figured([read_log(events, number) for number, events in enumerate(logs)])


def tables(found: Figured, logs: int) -> str:
    """Return the figures as Markdown."""
    saved, latency = found.saved, found.latency
    seen = ", ".join((count_of(logs, "log"), count_of(found.requests, "request"), *_shown(found)))
    less = "less a key each time that some were taken, and those typed before"
    half = _time(latency.median, latency.median_interval)
    most = _time(latency.slow, latency.slow_interval)
    lines = [
        f"{seen}. {_drawn(found)}",
        "",
        f"Saved: {_told(saved)} of what was written ({saved.part} of {saved.of} characters, {less}).",
        "",
        _head("all suggestions"),
        _row("all", found.of(found.suggested)),
        *_rows({f"{model}, {eager}": one for (model, eager), one in _conditions(found).items()}),
        "",
        f"Latency, from the request to the first text: median {half}, 95th percentile {most}.",
        "",
        _head("position"),
        *_rows(found.by(lambda one: one.at)),
        "",
        _head("hour"),
        *_rows({f"{hour}:00": one for hour, one in found.by(lambda one: one.hour).items()}),
    ]
    if found.dropped or found.unknown:
        refer = "refers" if found.unknown == 1 else "refer"
        unknown = f"{count_of(found.unknown, 'event')} {refer} to a request that is not in the log"
        lines += ["", f"{count_of(found.dropped, 'line')} could not be written; {unknown}."]
    return "\n".join(lines) + "\n"


def _drawn(found: Figured) -> str:
    """Say what the intervals are drawn from."""
    if found.by_log:
        units, writers = count_of(found.units, "log"), count_of(found.writers, "log")
    else:
        documents = count_of(found.units, "document")
        units, writers = f"{documents} in their sessions", count_of(found.writers, "session")
    saved = "" if units == writers else f", that of what was saved from {writers}"
    said = f"95 % bootstrap intervals, drawn from {units}{saved}."
    return f"{said} From fewer than {ENOUGH} none is drawn: it would be too narrow."


def _shown(found: Figured) -> tuple[str, str]:
    suggestions = count_of(len(found.suggested), "suggestion")
    return f"{suggestions} shown", f"{found.written} characters written"


def _conditions(found: Figured) -> dict[tuple[str, str], Figures]:
    conditions = found.by(lambda one: one.condition)
    return conditions if len(conditions) > 1 else {}


def _head(what: str) -> str:
    return _HEAD.format(what=what, soon=SOON, later=LATER // 60)


def _rows(figures: Mapping[str, Figures]) -> list[str]:
    return [_row(name, one) for name, one in figures.items()]


def _row(name: str, one: Figures) -> str:
    retained = " | ".join(_told(one.retained[seconds]) for seconds in (SOON, LATER))
    return f"| {name} | {one.shown} | {one.acceptance.part} | {_told(one.acceptance)} | {retained} |"


def _time(milliseconds: float, interval: Interval) -> str:
    return f"{milliseconds:.0f} ms" + (f" ({interval[0]:.0f} to {interval[1]:.0f})" if interval else "")


def _told(share: Share) -> str:
    if not share.of:
        return ""
    return f"{share.value:.3f}" + (" ({:.2f} to {:.2f})".format(*share.interval) if share.interval else "")


def write(path: Path, found: Figured, logs: int) -> list[Path]:
    """Write a Markdown file, and beside it plots where matplotlib is installed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        plots = _plots(path, found)
        pictures = "".join(f"\n![{plot.stem}]({plot.name})\n" for plot in plots)
        path.write_text(f"# What became of the suggestions\n\n{tables(found, logs)}{pictures}", "utf-8")
    except OSError as error:
        raise TurbopilotError(f"The report could not be written: {error.strerror}.") from None
    return [path, *plots]


def _plots(path: Path, found: Figured) -> list[Path]:
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        return []
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    (left, right), (below, last) = figure.subplots(2, 2)
    positions, hours = found.by(lambda one: one.at), found.by(lambda one: one.hour)
    _bars(left, "acceptance by position", {name: one.acceptance for name, one in positions.items()})
    left.tick_params(axis="x", labelrotation=30)
    _bars(right, "acceptance by hour", {str(hour): one.acceptance for hour, one in hours.items()})
    ms = sorted(one.ms for one in found.suggested)
    below.step(ms, [(n + 1) / len(ms) for n in range(len(ms))], where="post")
    below.set(title="time to the first text", xlabel="ms", ylabel="share of the answers")
    if ms and ms[-1] > 0:
        below.set_xscale("symlog", linthresh=10)
    retained = found.of(found.suggested).retained
    times = {f"{SOON} s": retained[SOON], f"{LATER // 60} min": retained[LATER]}
    _bars(last, "of the characters taken, left after", times)
    target = path.with_suffix(".svg")
    with mpl.rc_context({"svg.hashsalt": "turbopilot"}):  # the same figures make the same file
        figure.savefig(target, metadata={"Date": None})
    return [target]


def _bars(axis: Axes, title: str, shares: Mapping[str, Share]) -> None:
    """Draw shares with their intervals; one of nothing has no bar, which would say that it is 0."""
    known = {name: share for name, share in shares.items() if share.of}
    values = [share.value for share in known.values()]
    axis.bar([*known], values)
    for place, share in enumerate(known.values()):
        if share.interval:
            low, high = share.interval
            error = [[max(0.0, share.value - low)], [max(0.0, high - share.value)]]
            axis.errorbar(place, share.value, yerr=error, capsize=3, color="black")
    axis.set(title=title, ylim=(0, 1))
