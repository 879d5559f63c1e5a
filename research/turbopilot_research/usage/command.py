"""`jupyter turbopilot usage-log report`: acceptance, retention, keystrokes saved and latency, as tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.util.files import count_of
from turbopilot_research.usage.file import older_file, read

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from jupyter_turbopilot.settings.config import Turbopilot
    from turbopilot_research.usage.events import Event

    Writing = tuple[int, str]  # the number of a log, and one of its sessions

# When retained characters are counted: seconds after acceptance, and the next execution.
SECONDS = {"after 30 s": 30, "after 5 min": 300}
EXECUTED = "at the next run"
CHECKS = (EXECUTED, *SECONDS)
ENOUGH = 5  # units to resample; with fewer logs, their sessions are resampled
DRAWS = 1000


def declare(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    text = "print statistics of suggestion outcomes"
    parser = actions.add_parser("report", help=text, description=text)
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="*",
        type=Path,
        help="a participant's log; default: c.Turbopilot.usage_log",
    )
    parser.set_defaults(execute=report)


def report(options: argparse.Namespace, settings: Turbopilot) -> int:
    if not (options.files or settings.usage_log):
        raise BadRequestError("Pass the file of a usage log, or set c.Turbopilot.usage_log.")
    files = dict.fromkeys(options.files or [Path(settings.usage_log).expanduser()])
    older_files = {older_file(file) for file in files if file.name}  # `read` reads them with the newer ones
    print(tables(LogStatistics(read(file) for file in files if file not in older_files)), end="")
    return 0


@dataclass
class Suggested:
    """A suggestion and its outcome."""

    session: Writing
    request: Event
    final: bool  # whether the first `retained` event is final
    shown: bool = False
    taken: int = 0  # characters
    keys: int = 0  # keystrokes for them: one per acceptance, plus characters typed
    kept: dict[str, int] = field(default_factory=dict)  # retained characters by check

    @property
    def condition(self) -> str:
        """The model and the eagerness."""
        # The numbers of models outside the catalogue differ between sessions.
        model = self.request.model
        return f"{'other' if model.startswith('other-') else model}, {self.request.eagerness}"

    def receive(self, event: Event) -> None:
        """Apply one of the suggestion's events."""
        match event.event:
            case "shown":
                self.shown = True
            case "accepted":
                self.taken = max(self.taken, event.chars)
                self.keys += 1 + event.typed
            case "executed":
                self.kept.setdefault(EXECUTED, event.chars)
            case "retained":
                for check, seconds in SECONDS.items():
                    if self.final or event.after >= seconds:
                        self.kept.setdefault(check, event.chars)


class Share(NamedTuple):
    """A share with its 95 % bootstrap interval."""

    part: int
    of: int
    interval: tuple[float, float] | None = None  # None: too few units

    def __str__(self) -> str:
        interval = " ({:.2f} to {:.2f})".format(*self.interval) if self.interval else ""
        return f"{self.part / self.of:.3f}{interval}" if self.of else ""


class LogStatistics:
    """Statistics of several logs."""

    def __init__(self, logs: Iterable[Iterable[Event | None]]) -> None:
        self.logs = self.requests = 0
        self.broken = 0  # lines that do not match the schema
        self.dropped = 0  # events that could not be written
        self.written: Counter[Writing] = Counter()  # characters
        self.suggested = [
            one for number, log in enumerate(logs) for one in self._read(number, log) if one.shown
        ]
        # A log without suggestions does not count: there is nothing to resample.
        self.by_log = len({one.session[0] for one in self.suggested}) >= ENOUGH

    def _read(self, number: int, log: Iterable[Event | None]) -> Iterable[Suggested]:
        """Read a log; return its suggestions."""
        self.logs += 1
        suggested: dict[str, Suggested] = {}
        terminals: set[str] = set()
        for event in log:
            if event is None:
                self.broken += 1
                continue
            name = event.session or event.id.partition(".")[0]
            self.requests += event.requests
            self.written[number, name] += event.written
            self.dropped += event.lines
            if event.event == "session" and event.where == "terminal":
                terminals.add(name)
            elif event.event == "requested":
                suggested[event.id] = Suggested((number, name), event, final=name in terminals)
            elif event.id in suggested:
                suggested[event.id].receive(event)
        return suggested.values()

    def share(self, counts: Iterable[tuple[Writing, int, int]]) -> Share:
        """Return the share of parts in wholes, given as (session, part, whole)."""
        import numpy as np

        sums: defaultdict[Hashable, list[int]] = defaultdict(lambda: [0, 0])
        for session, part, whole in counts:
            unit = sums[session[0] if self.by_log else session]
            unit[0] += part
            unit[1] += whole
        units = [unit for unit in sums.values() if unit[1]]
        part, of = sum(part for part, _ in units), sum(of for _, of in units)
        if (size := len(units)) < ENOUGH:
            return Share(part, of)
        draws = np.random.default_rng(7).multinomial(size, [1 / size] * size, DRAWS)
        parts, wholes = (draws @ np.array(units, dtype=np.float64)).T
        low, high = np.quantile(parts / wholes, [0.025, 0.975])
        return Share(part, of, (float(low), float(high)))

    @property
    def saved(self) -> Share:
        """The share of written characters that were accepted, minus the keystrokes for accepting."""
        taken: Counter[Writing] = Counter()
        worth: Counter[Writing] = Counter()
        for one in self.suggested:
            taken[one.session] += one.taken
            worth[one.session] += max(0, one.taken - one.keys)
        # A killed process did not log its last counts: it wrote at least the accepted characters.
        written = self.written | taken
        return self.share((one, worth[one], written[one]) for one in written)

    def table(self, name: str, key: Callable[[Suggested], str]) -> list[str]:
        """Return the lines of a table with a row for each group of suggestions."""
        groups: defaultdict[str, list[Suggested]] = defaultdict(list)
        for one in self.suggested:
            groups[key(one)].append(one)
        head = f"| {name} | shown | accepted | acceptance | characters retained {' | '.join(CHECKS)} |"
        return ["", head, f"|{' --- |' * 7}", *(self._row(each, groups[each]) for each in sorted(groups))]

    def _row(self, group: str, shown: Sequence[Suggested]) -> str:
        accepted = self.share((one.session, bool(one.taken), 1) for one in shown)
        retained = (
            self.share(
                (one.session, min(one.kept[check], one.taken), one.taken)
                for one in shown
                if check in one.kept
            )
            for check in CHECKS
        )
        return (
            f"| {group} | {accepted.of} | {accepted.part} | {accepted} | {' | '.join(map(str, retained))} |"
        )


def tables(found: LogStatistics) -> str:
    """Return the statistics as Markdown tables."""
    saved, shown, units = found.saved, found.suggested, "logs" if found.by_log else "sessions"
    waits = sorted(one.request.ms for one in shown) or [0]
    median, slow = (waits[(len(waits) - 1) * percent // 100] for percent in (50, 95))
    counts = f"{count_of(found.logs, 'log')}, {count_of(found.requests, 'request')}"
    written = f"{count_of(len(shown), 'suggestion')} shown, {found.written.total()} characters written"
    less = "minus one keystroke per acceptance and the characters typed before it"
    lines = [
        f"{counts}, {written}. 95 % bootstrap intervals from {units}; fewer than {ENOUGH} give none.",
        "",
        f"Keystrokes saved: {saved} of the characters written ({saved.part} of {saved.of}, {less}).",
        "",
        f"Latency, from the request to the first text: median {median} ms, 95th percentile {slow} ms.",
        *found.table("suggestions", lambda _: "all"),
        *found.table("model, eagerness", lambda one: one.condition),
        *found.table("position", lambda one: one.request.at),
    ]
    if found.broken or found.dropped:
        broken = f"{count_of(found.broken, 'unreadable line')} skipped"
        lines += ["", f"{count_of(found.dropped, 'line')} could not be written, {broken}."]
    return "\n".join(lines) + "\n"
