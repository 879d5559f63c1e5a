"""What study logs say of suggestions: how many were taken, how much of it stayed, how long it took. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.suggestion.position import ELSEWHERE

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    import numpy as np

    Counted = tuple[Hashable, int]
    Weights = np.ndarray[Any, np.dtype[np.float64]]

SOON, LATER = 30, 300  # seconds after which it is asked how much of what was taken is left
ENOUGH = 5  # units that an interval is drawn from; with fewer logs, their documents and sessions are drawn
DRAWS = 1000
Interval = tuple[float, float] | None  # none where there is too little to draw from
Event = dict[str, Any]


class Session(NamedTuple):
    """A process that wrote to a log."""

    log: int
    name: str


@dataclass
class Suggested:
    """One suggestion."""

    session: Session
    document: int
    condition: tuple[str, str]  # model and eagerness
    at: str = ELSEWHERE
    hour: int = 0  # where the person is
    ms: int = 0
    final: bool = False  # whether nothing edits it after the first time that it is looked at
    shown: bool = False
    taken: int = 0  # characters
    keys: int = 0  # that were pressed for them: one each time that some were taken, and what was typed
    kept: dict[int, int] = field(default_factory=dict)  # characters, by the seconds after which

    def receive(self, event: Event) -> None:
        """Take what an event says of it."""
        match event["event"]:
            case "shown":
                self.shown = True
            case "taken":
                self.taken = max(self.taken, event["chars"])
                self.keys += 1 + event.get("typed", 0)
            case "retained":
                for seconds in (SOON, LATER):
                    if self.final or event["after"] >= seconds:
                        self.kept.setdefault(seconds, event["chars"])


@dataclass(frozen=True)
class Typing:
    """Requests and characters written, wherever suggestions were shown or not."""

    session: Session
    requests: int
    written: int


@dataclass
class Log:
    """What one log says."""

    suggested: dict[str, Suggested] = field(default_factory=dict)
    typing: list[Typing] = field(default_factory=list)
    dropped: int = 0  # lines that its processes could not write
    unknown: int = 0  # events of suggestions of whose request there is no line


def read_log(events: Iterable[Event], number: int = 0) -> Log:
    """Gather what the events of a log say."""
    log = Log()
    sessions: dict[Session, Event] = {}
    for event in events:
        kind, name = event["event"], event.get("id", "")
        session = Session(number, event.get("session") or name.partition(".")[0])
        if kind == "session":
            sessions[session] = event
        elif kind == "dropped":
            log.dropped += event["lines"]
        elif kind == "requested":
            said = sessions.get(session, {})
            hour = int((event["t"] + 60 * said.get("zone", 0)) // 3600) % 24
            # The numbers of models without a public name are other ones in each session.
            model = said.get("model", "unknown")
            condition = "other" if model.startswith("other-") else model, said.get("eagerness", "unknown")
            log.suggested[name] = Suggested(
                session,
                event["doc"],
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
            log.typing.append(Typing(session, event["requests"], event["written"]))
    return log


@dataclass(frozen=True)
class Share:
    """A share, what it is a share of, and between which values it lies in 95 of 100 draws."""

    part: int
    of: int
    interval: Interval = None

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
    median_interval: Interval
    slow: float  # of 100 answers the 95th
    slow_interval: Interval


class Draws:
    """How often each unit is in each of many draws of as many units."""

    def __init__(self, units: Iterable[Hashable], count: int, seed: int) -> None:
        import numpy as np

        self._units = {unit: number for number, unit in enumerate(dict.fromkeys(units))}
        each = max(1, len(self))
        rng = np.random.default_rng(seed)
        self._weights: Weights = rng.multinomial(each, [1 / each] * each, size=count).astype(np.float64)

    def __len__(self) -> int:
        return len(self._units)

    def share(self, parts: Iterable[Counted], wholes: Iterable[Counted]) -> Share:
        """Return the share that parts have in wholes, with its interval."""
        import numpy as np

        part, whole = self._by_unit(parts), self._by_unit(wholes)
        drawn = self._weights @ whole
        values = (self._weights @ part)[drawn > 0] / drawn[drawn > 0]
        # Units in which there is nothing to have a share of draw nothing.
        known = int(np.count_nonzero(whole)) >= ENOUGH
        return Share(int(np.sum(part)), int(np.sum(whole)), _interval(values) if known else None)

    def quantiles(self, ordered: Sequence[Counted]) -> list[tuple[float, Interval]]:
        """Return the median and the 95th of a hundred of ordered values, with their intervals."""
        import numpy as np

        values = np.array([value for _, value in ordered], dtype=np.float64)
        units = np.array([self._units[unit] for unit, _ in ordered])
        found = _quantiles(values, np.ones(len(values)))
        if len(set(units)) < ENOUGH:
            return [(one, None) for one in found]
        drawn = [_quantiles(values, draw[units]) for draw in self._weights[:200] if draw[units].any()]
        return [
            (one, _interval(np.array(several)))
            for one, several in zip(found, zip(*drawn, strict=True), strict=True)
        ]

    def _by_unit(self, counts: Iterable[Counted]) -> Weights:
        import numpy as np

        found = np.zeros(max(1, len(self)))
        for unit, count in counts:
            found[self._units[unit]] += count
        return found


class Figured:
    """The figures of some logs, all from the same draws."""

    def __init__(self, logs: Sequence[Log], draws: int = DRAWS, seed: int = 7) -> None:
        self.suggested = [one for log in logs for one in log.suggested.values() if one.shown]
        self.typing = [one for log in logs for one in log.typing]
        self.dropped = sum(log.dropped for log in logs)
        self.unknown = sum(log.unknown for log in logs)
        # A log without suggestions does not count: it has nothing to draw.
        self.by_log = len({one.session.log for one in self.suggested}) >= ENOUGH
        self._units = Draws([self._unit(one) for one in self.suggested], draws, seed)
        sessions = [one.session for one in self.typing] + [one.session for one in self.suggested]
        self._writers = Draws(map(self._writer, sessions), draws, seed)

    def _unit(self, one: Suggested) -> Hashable:
        """Return what a suggestion is drawn with."""
        return one.session.log if self.by_log else (one.session, one.document)

    def _writer(self, session: Session) -> Hashable:
        """Return what is drawn with what was written in a session."""
        return session.log if self.by_log else session

    @property
    def units(self) -> int:
        """How many logs, or documents, the intervals are drawn from."""
        return len(self._units)

    @property
    def writers(self) -> int:
        """How many logs, or sessions, the interval of what was saved is drawn from."""
        return len(self._writers)

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
        """Of what was written, the characters taken, less the keys that were pressed for them."""
        taken: Counter[Session] = Counter()
        written: Counter[Session] = Counter()
        worth: Counter[Session] = Counter()
        for one in self.suggested:
            taken[one.session] += one.taken
            worth[one.session] += max(0, one.taken - one.keys)
        for told in self.typing:
            written[told.session] += told.written
        # A process that was killed has not said what was written last; what was taken was.
        return self._writers.share(
            [(self._writer(session), chars) for session, chars in worth.items()],
            [(self._writer(session), chars) for session, chars in (written | taken).items()],
        )

    def of(self, chosen: Iterable[Suggested]) -> Figures:
        """Return the figures of some of the suggestions."""
        shown = list(chosen)
        taken = [one for one in shown if one.taken]
        retained = {
            seconds: self._share(
                [(one, min(one.kept[seconds], one.taken)) for one in taken if seconds in one.kept],
                [(one, one.taken) for one in taken if seconds in one.kept],
            )
            for seconds in (SOON, LATER)
        }
        acceptance = self._share([(one, 1) for one in taken], [(one, 1) for one in shown])
        return Figures(len(shown), acceptance, retained, sum(one.taken for one in taken))

    def _share(self, *counts: Iterable[tuple[Suggested, int]]) -> Share:
        parts, wholes = ([(self._unit(one), number) for one, number in counted] for counted in counts)
        return self._units.share(parts, wholes)

    def by(self, key: Callable[[Suggested], Any]) -> dict[Any, Figures]:
        """Return the figures of the suggestions that have a key in common, the keys in order."""
        groups: defaultdict[Any, list[Suggested]] = defaultdict(list)
        for one in self.suggested:
            groups[key(one)].append(one)
        return {name: self.of(groups[name]) for name in sorted(groups)}

    @property
    def latency(self) -> Latency:
        """Return how long answers took."""
        ordered = sorted(self.suggested, key=lambda one: one.ms)
        if not ordered:
            return Latency(0, 0.0, None, 0.0, None)
        (half, median), (most, slow) = self._units.quantiles([(self._unit(one), one.ms) for one in ordered])
        return Latency(len(ordered), half, median, most, slow)


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
