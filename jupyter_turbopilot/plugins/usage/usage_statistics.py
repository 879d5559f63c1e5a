"""Statistics of usage logs: acceptance, retention, characters saved, latency. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.plugins.usage import events

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]
    Writing = tuple[int, str]  # the number of a log, and one of its sessions

# When retained characters are counted: seconds after acceptance, and the next execution.
SECONDS = {"after 30 s": 30, "after 5 min": 300}
EXECUTED = "at the next run"
CHECKS = (EXECUTED, *SECONDS)
ENOUGH = 5  # units to resample; with fewer logs, their documents and sessions are resampled
UNKNOWN = "unknown"  # placeholder for the model or the eagerness
DRAWS = 1000
QUANTILE_DRAWS = 200
Interval = tuple[float, float] | None  # None: too few units


@dataclass
class Suggested:
    """A suggestion and its outcome."""

    session: Writing
    request: events.Requested
    condition: tuple[str, str]  # model and eagerness
    hour: int  # local time
    final: bool  # whether the first `retained` event is final
    shown: bool = False
    taken: int = 0  # characters
    keys: int = 0  # keystrokes for them: one per acceptance, plus characters typed
    kept: dict[str, int] = field(default_factory=dict)  # retained characters by check

    @classmethod
    def of(cls, writing: Writing, request: events.Requested, session: events.Session | None) -> Suggested:
        """Create a suggestion; its session's line may be missing."""
        model, eagerness, zone, final = UNKNOWN, UNKNOWN, 0, False
        if session:
            # The numbers of models outside the catalogue differ between sessions.
            model = "other" if session.model.startswith("other-") else session.model
            eagerness, zone, final = session.eagerness, session.zone, session.where == "terminal"
        return cls(writing, request, (model, eagerness), int((request.t + 60 * zone) // 3600) % 24, final)

    def receive(self, event: events.Event) -> None:
        """Apply one of the suggestion's events."""
        match event:
            case events.Shown():
                self.shown = True
            case events.Accepted():
                self.taken = max(self.taken, event.chars)
                self.keys += 1 + event.typed
            case events.Executed():
                self.kept.setdefault(EXECUTED, event.chars)
            case events.Retained():
                for check, seconds in SECONDS.items():
                    if self.final or event.after >= seconds:
                        self.kept.setdefault(check, event.chars)


class Share(NamedTuple):
    """A share with its 95 % interval."""

    part: int
    of: int
    interval: Interval = None

    @property
    def value(self) -> float:
        """The share as a number."""
        return self.part / self.of if self.of else 0.0


@dataclass(frozen=True)
class Figures:
    """Statistics of a group of suggestions."""

    acceptance: Share  # of shown suggestions
    retained: dict[str, Share]  # of accepted characters, by check


class Draws:
    """Bootstrap samples of units: how often each unit is in each sample."""

    def __init__(self, units: Iterable[Hashable], count: int, seed: int) -> None:
        import numpy as np

        self._units = {unit: number for number, unit in enumerate(dict.fromkeys(units))}
        size = max(1, len(self))
        rng = np.random.default_rng(seed)
        self._weights: Array = rng.multinomial(size, [1 / size] * size, size=count).astype(np.float64)

    def __len__(self) -> int:
        return len(self._units)

    def share(self, counts: Iterable[tuple[Hashable, int, int]]) -> Share:
        """Return the share of parts in wholes, given as (unit, part, whole)."""
        import numpy as np

        sums = np.zeros((max(1, len(self)), 2))
        for unit, part, whole in counts:
            sums[self._units[unit]] += part, whole
        drawn = self._weights @ sums
        parts, wholes = drawn[drawn[:, 1] > 0].T
        enough = np.count_nonzero(sums[:, 1]) >= ENOUGH
        return Share(
            int(sums[:, 0].sum()), int(sums[:, 1].sum()), _interval(parts / wholes) if enough else None
        )

    def quantiles(self, ordered: Sequence[tuple[Hashable, int]]) -> list[tuple[float, Interval]]:
        """Return the median and the 95th percentile of ordered values, with their intervals."""
        import numpy as np

        values = np.array([value for _, value in ordered], dtype=np.float64)
        units = np.array([self._units[unit] for unit, _ in ordered])
        found = _quantiles(values, np.ones(len(values)))
        if len(set(units)) < ENOUGH:
            return [(value, None) for value in found]
        draws = (draw[units] for draw in self._weights[:QUANTILE_DRAWS])
        drawn = np.array([_quantiles(values, draw) for draw in draws if draw.any()])
        return [(value, _interval(column)) for value, column in zip(found, drawn.T, strict=True)]


class LogStatistics:
    """Statistics of several logs, from the same bootstrap samples."""

    def __init__(self, logs: Iterable[Iterable[events.Event]]) -> None:
        self.requests = 0
        self.dropped = 0  # events that could not be written
        self.unknown = 0  # events without their request
        self._written: Counter[Writing] = Counter()  # characters
        self.suggested = [
            one for number, log in enumerate(logs) for one in self._read(number, log) if one.shown
        ]
        # A log without suggestions does not count: there is nothing to resample.
        self.by_log = len({one.session[0] for one in self.suggested}) >= ENOUGH
        self.units = Draws(map(self._unit, self.suggested), DRAWS, seed=7)
        sessions = [*self._written, *(one.session for one in self.suggested)]
        self.writers = Draws(map(self._writer, sessions), DRAWS, seed=7)

    def _read(self, number: int, log: Iterable[events.Event]) -> Iterable[Suggested]:
        """Read a log; return its suggestions."""
        suggested: dict[str, Suggested] = {}
        sessions: dict[str, events.Session] = {}
        for event in log:
            match event:
                case events.Session():
                    sessions[event.session] = event
                case events.Dropped():
                    self.dropped += event.lines
                case events.Requested():
                    name = event.id.partition(".")[0]
                    suggested[event.id] = Suggested.of((number, name), event, sessions.get(name))
                    self._count((number, name), event)
                case events.Typing() | events.Ended():
                    self._count((number, event.session), event)
                case _:
                    if event.id in suggested:
                        suggested[event.id].receive(event)
                    else:
                        self.unknown += 1
        return suggested.values()

    def _count(self, session: Writing, event: events.Requested | events.Typing | events.Ended) -> None:
        self.requests += event.requests
        self._written[session] += event.written

    def _unit(self, one: Suggested) -> Hashable:
        return one.session[0] if self.by_log else (one.session, one.request.doc)

    def _writer(self, session: Writing) -> Hashable:
        return session[0] if self.by_log else session

    @property
    def written(self) -> int:
        """The number of characters written."""
        return self._written.total()

    @property
    def saved(self) -> Share:
        """The share of written characters that were accepted, minus the keystrokes for accepting."""
        taken: Counter[Writing] = Counter()
        worth: Counter[Writing] = Counter()
        for one in self.suggested:
            taken[one.session] += one.taken
            worth[one.session] += max(0, one.taken - one.keys)
        # A killed process did not log its last counts: it wrote at least the accepted characters.
        written = self._written | taken
        return self.writers.share((self._writer(one), worth[one], written[one]) for one in written)

    def of(self, chosen: Iterable[Suggested]) -> Figures:
        """Return the statistics of some suggestions."""
        shown = list(chosen)
        acceptance = self.units.share((self._unit(one), bool(one.taken), 1) for one in shown)
        retained = {
            check: self.units.share(
                (self._unit(one), min(one.kept[check], one.taken), one.taken)
                for one in shown
                if check in one.kept
            )
            for check in CHECKS
        }
        return Figures(acceptance, retained)

    def by(self, key: Callable[[Suggested], Any]) -> dict[Any, Figures]:
        """Return the statistics of groups of suggestions, ordered by key."""
        groups: defaultdict[Any, list[Suggested]] = defaultdict(list)
        for one in self.suggested:
            groups[key(one)].append(one)
        return {name: self.of(groups[name]) for name in sorted(groups)}

    @property
    def latency(self) -> list[tuple[float, Interval]]:
        """The median and the 95th percentile of the milliseconds to the first text, with intervals."""
        ordered = sorted(self.suggested, key=lambda one: one.request.ms)
        if not ordered:
            return [(0.0, None), (0.0, None)]
        return self.units.quantiles([(self._unit(one), one.request.ms) for one in ordered])


def _quantiles(values: Array, weights: Array) -> tuple[float, float]:
    """Return the median and the 95th percentile of ordered values with weights."""
    import numpy as np

    sums = np.cumsum(weights)
    median, slow = values[np.searchsorted(sums, [0.5 * sums[-1], 0.95 * sums[-1]])]
    return float(median), float(slow)


def _interval(values: Array) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
