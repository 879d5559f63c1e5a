"""The report of a study: what its logs come to, as tables and as plots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.evaluate.study_figures import ENOUGH, LATER, SOON, Figured, read_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from jupyter_turbopilot.evaluate.study_figures import Event, Figures, Interval, Share

_HEAD = (
    "| {what} | shown | taken | acceptance | of the characters taken, left after {soon} s | {later} min |\n"
    "| --- | --- | --- | --- | --- | --- |"
)


def figured(logs: Sequence[Iterable[Event]]) -> Figured:
    """Return the figures of some logs; each is read to its end before the next."""
    alone = len(logs) >= ENOUGH
    return Figured([read_log(events, number, alone=alone) for number, events in enumerate(logs)])


def tables(found: Figured, logs: int) -> str:
    """Return the figures as Markdown."""
    saved, latency = found.saved, found.latency
    seen = ", ".join((_count(logs, "log"), _count(found.requests, "request"), *_shown(found)))
    less = "less a key each time that some were taken, and those typed before"
    half = _time(latency.median, latency.median_interval)
    most = _time(latency.slow, latency.slow_interval)
    lines = [
        f"{seen}. {_drawn(found, logs)}",
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
        unknown = f"{_count(found.unknown, 'event')} {refer} to a request that is not in the log"
        lines += ["", f"{_count(found.dropped, 'line')} could not be written; {unknown}."]
    return "\n".join(lines) + "\n"


def _drawn(found: Figured, logs: int) -> str:
    """Say what the intervals are drawn from."""
    if logs >= ENOUGH:
        units = _count(logs, "log")
    else:
        documents, sessions = _count(found.units, "document"), _count(found.sessions, "session")
        units = f"{documents} in their sessions, that of what was saved from {sessions}"
    said = f"95 % bootstrap intervals, drawn from {units}."
    return f"{said} From fewer than {ENOUGH} none is drawn: it would be too narrow."


def _shown(found: Figured) -> tuple[str, str]:
    suggestions = _count(len(found.suggested), "suggestion")
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


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


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
    for axis, figures, words in (
        (left, found.by(lambda one: one.at), "acceptance by position"),
        (right, found.by(lambda one: one.hour), "acceptance by hour"),
    ):
        shares = [one.acceptance for one in figures.values()]
        values = [share.value for share in shares]
        intervals = [share.interval or (share.value, share.value) for share in shares]
        errors = [
            [max(0.0, share.value - low) for share, (low, _) in zip(shares, intervals, strict=True)],
            [max(0.0, high - share.value) for share, (_, high) in zip(shares, intervals, strict=True)],
        ]
        axis.bar([str(name) for name in figures], values, yerr=errors, capsize=3)
        axis.set(title=words, ylim=(0, 1))
        axis.tick_params(axis="x", labelrotation=30 if axis is left else 0)
    ms = sorted(one.ms for one in found.suggested)
    below.step(ms, [(n + 1) / len(ms) for n in range(len(ms))], where="post")
    below.set(title="time to the first text", xlabel="ms", ylabel="share of the answers")
    if ms and ms[-1] > 0:
        below.set_xscale("symlog", linthresh=10)
    retained = found.of(found.suggested).retained
    last.bar([f"{SOON} s", f"{LATER // 60} min"], [retained[seconds].value for seconds in (SOON, LATER)])
    last.set(title="of the characters taken, left after", ylim=(0, 1))
    target = path.with_suffix(".svg")
    with mpl.rc_context({"svg.hashsalt": "turbopilot"}):  # the same figures make the same file
        figure.savefig(target, metadata={"Date": None})
    return [target]
