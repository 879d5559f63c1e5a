"""What study logs say of suggestions: how many were taken, how much of it stayed, how long it took. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.suggestion.position import ELSEWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    import numpy as np

    Weights = np.ndarray[Any, np.dtype[np.float64]]

SOON, LATER = 30, 300  # seconds after which it is asked how much of what was taken is left
ENOUGH = 5  # logs that are drawn from; of fewer, what was written in each document is
DRAWS = 1000
Event = dict[str, Any]


@dataclass
class Suggested:
    """One suggestion."""

    unit: Hashable  # what it is drawn with
    condition: tuple[str, str]  # model and eagerness
    at: str = ELSEWHERE
    hour: int = 0  # where the person is
    ms: int = 0
    final: bool = False  # whether nothing edits it after the first time that it is looked at
    shown: bool = False
    chars: int = 0  # when it was shown last
    taken: int = 0  # characters
    kept: dict[int, int] = field(default_factory=dict)  # characters, by the seconds after which

    def receive(self, event: Event) -> None:
        """Take what an event says of it."""
        match event["event"]:
            case "shown":
                self.shown, self.chars = True, event["chars"]
            case "taken":
                self.taken = max(self.taken, event["chars"])
            case "retained":
                for seconds in (SOON, LATER):
                    if self.final or event["after"] >= seconds:
                        self.kept.setdefault(seconds, event["chars"])


@dataclass(frozen=True)
class Typing:
    """Requests and characters written, wherever suggestions were shown or not."""

    unit: Hashable
    requests: int
    written: int


@dataclass
class Log:
    """What one log says."""

    suggested: dict[str, Suggested] = field(default_factory=dict)
    typing: list[Typing] = field(default_factory=list)
    dropped: int = 0  # lines that its processes could not write
    unknown: int = 0  # events of suggestions of whose request there is no line


def read_log(events: Iterable[Event], number: int = 0, *, alone: bool = False) -> Log:
    """Gather what the events of a log say; `alone`: the log is drawn as one, not by document."""
    log = Log()
    sessions: dict[str, Event] = {}

    def unit(session: str, document: int | None = None) -> Hashable:
        return number if alone else (number, session, document)

    for event in events:
        kind, name = event["event"], event.get("id", "")
        session = event.get("session") or name.partition(".")[0]
        if kind == "session":
            sessions[session] = event
        elif kind == "dropped":
            log.dropped += event["lines"]
        elif kind == "requested":
            said = sessions.get(session, {})
            hour = int((event["t"] + 60 * said.get("zone", 0)) // 3600) % 24
            condition = said.get("model", "unknown"), said.get("eagerness", "unknown")
            log.suggested[name] = Suggested(
                unit(session, event["doc"]),
                condition,
                event["at"],
                hour,
                event["ms"],
                final=said.get("where") == "terminal",
            )
        elif name in log.suggested:
            log.suggested[name].receive(event)
        elif name:
            log.unknown += 1
        if "requests" in event:
            log.typing.append(Typing(unit(session, event.get("doc")), event["requests"], event["written"]))
    return log


@dataclass(frozen=True)
class Share:
    """A share, what it is a share of, and between which values it lies in 95 of 100 draws."""

    part: int
    of: int
    low: float = 0.0
    high: float = 0.0

    @property
    def value(self) -> float:
        """The share itself."""
        return self.part / self.of if self.of else 0.0


@dataclass(frozen=True)
class Figures:
    """What some suggestions came to."""

    shown: int
    acceptance: Share  # of those shown
    retained: Mapping[int, Share]  # of the characters taken that were looked at so long afterwards
    taken: int  # characters


@dataclass(frozen=True)
class Latency:
    """Milliseconds from a request to the first text, of those that were shown."""

    count: int
    median: float
    median_interval: tuple[float, float]
    slow: float  # of 100 answers the 95th
    slow_interval: tuple[float, float]


class Figured:
    """The figures of some logs, all from the same draws."""

    def __init__(self, logs: Sequence[Log], draws: int = DRAWS, seed: int = 7) -> None:
        import numpy as np

        self.suggested = [one for log in logs for one in log.suggested.values() if one.shown]
        self.typing = [one for log in logs for one in log.typing]
        self.dropped = sum(log.dropped for log in logs)
        self.unknown = sum(log.unknown for log in logs)
        units = dict.fromkeys([*(one.unit for one in self.typing), *(one.unit for one in self.suggested)])
        self._units = {unit: number for number, unit in enumerate(units)}
        count = max(1, len(units))
        rng = np.random.default_rng(seed)
        self._weights: Weights = rng.multinomial(count, [1 / count] * count, size=draws).astype(np.float64)

    @property
    def units(self) -> int:
        """How many the intervals are drawn from."""
        return len(self._units)

    @property
    def requests(self) -> int:
        """How often an editor asked."""
        return sum(one.requests for one in self.typing)

    @property
    def written(self) -> int:
        """How many characters were written."""
        return sum(one.written for one in self.typing)

    @property
    def saved(self) -> Share:
        """Of what was written, the characters taken, less a key for each suggestion."""
        worth = [(one.unit, max(0, one.taken - 1)) for one in self.suggested if one.taken]
        return self._share(worth, [(one.unit, one.written) for one in self.typing])

    def of(self, chosen: Iterable[Suggested]) -> Figures:
        """Return the figures of some of the suggestions."""
        shown = list(chosen)
        taken = [one for one in shown if one.taken]
        retained = {
            seconds: self._share(
                [(one.unit, min(one.kept[seconds], one.taken)) for one in taken if seconds in one.kept],
                [(one.unit, one.taken) for one in taken if seconds in one.kept],
            )
            for seconds in (SOON, LATER)
        }
        acceptance = self._share([(one.unit, 1) for one in taken], [(one.unit, 1) for one in shown])
        return Figures(len(shown), acceptance, retained, sum(one.taken for one in taken))

    def by(self, key: Callable[[Suggested], Any]) -> dict[Any, Figures]:
        """Return the figures of the suggestions that have a key in common, the keys in order."""
        groups: defaultdict[Any, list[Suggested]] = defaultdict(list)
        for one in self.suggested:
            groups[key(one)].append(one)
        return {name: self.of(groups[name]) for name in sorted(groups)}

    @property
    def latency(self) -> Latency:
        """Return how long answers took."""
        import numpy as np

        ordered = sorted(self.suggested, key=lambda one: one.ms)
        if not ordered:
            return Latency(0, 0.0, (0.0, 0.0), 0.0, (0.0, 0.0))
        ms = np.array([one.ms for one in ordered], dtype=np.float64)
        units = np.array([self._units[one.unit] for one in ordered])
        found = [_quantiles(ms, draw[units]) for draw in self._weights[:200] if draw[units].any()]
        half, most = _quantiles(ms, np.ones(len(ms)))
        median, slow = (_interval(np.array(values)) for values in zip(*found, strict=True))
        return Latency(len(ms), half, median, most, slow)

    def _share(self, parts: Iterable[tuple[Hashable, int]], wholes: Iterable[tuple[Hashable, int]]) -> Share:
        import numpy as np

        part, whole = self._by_unit(parts), self._by_unit(wholes)
        drawn = self._weights @ whole
        values = (self._weights @ part)[drawn > 0] / drawn[drawn > 0]
        low, high = _interval(values) if len(values) else (0.0, 0.0)
        return Share(int(np.sum(part)), int(np.sum(whole)), low, high)

    def _by_unit(self, counts: Iterable[tuple[Hashable, int]]) -> Weights:
        import numpy as np

        found = np.zeros(max(1, len(self._units)))
        for unit, count in counts:
            found[self._units[unit]] += count
        return found


def _quantiles(values: Weights, weights: Weights) -> tuple[float, float]:
    """Return the median and the 95th of a hundred of ordered values, each as often as its weight says."""
    import numpy as np

    sums = np.cumsum(weights)
    found = np.searchsorted(sums, [0.5 * sums[-1], 0.95 * sums[-1]])
    half, most = values[np.minimum(found, len(values) - 1)]
    return float(half), float(most)


def _interval(values: Weights) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
