"""Virtual time: threads that run one at a time, while time passes only when all of them wait."""

from __future__ import annotations

import heapq
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class _Actor:
    """A thread that runs only while nobody else does."""

    def __init__(self, timeline: Timeline, work: Callable[[], object]) -> None:
        self.go = threading.Semaphore(0)
        self.pause = 0  # counts its pauses: what would end an earlier one is too late
        self.signalled = False
        self.failure: BaseException | None = None
        self._timeline, self._work = timeline, work
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        self.go.acquire()
        try:
            self._work()
        except BaseException as failure:  # noqa: BLE001 - the timeline raises it
            self.failure = failure
        self._timeline.back.release()


class Timeline:
    """Virtual time, and what happens when; it stands in for the module `time`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.back = threading.Semaphore(0)
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0
        self._current: _Actor | None = None

    def monotonic(self) -> float:
        """Return the virtual time."""
        return self.now

    perf_counter = process_time = monotonic

    def sleep(self, seconds: float) -> None:
        """Pause whoever runs."""
        self.wait(max(0.0, seconds))

    def at(self, when: float, what: Callable[[], object]) -> None:
        """Have something happen at a time; at the same time in the order in which they were asked for."""
        self._count += 1
        heapq.heappush(self._events, (max(when, self.now), self._count, what))

    def start(self, work: Callable[[], object]) -> None:
        """Have somebody begin now."""
        actor = _Actor(self, work)
        self.at(self.now, lambda: self._resume(actor, actor.pause, signalled=False))

    def run(self, until: float = float("inf")) -> None:
        """Let time pass until nothing is to happen any more."""
        while self._events and self._events[0][0] <= until:
            self.now, _, what = heapq.heappop(self._events)
            what()

    def current(self) -> _Actor:
        """Return whoever runs."""
        assert self._current, "nobody runs"
        return self._current

    def wait(self, seconds: float | None) -> bool:
        """Pause whoever runs; tell whether it was woken before the time was over."""
        actor = self.current()
        actor.pause += 1
        pause = actor.pause
        if seconds is not None:
            self.at(self.now + seconds, lambda: self._resume(actor, pause, signalled=False))
        self.back.release()
        actor.go.acquire()
        return actor.signalled

    def wake(self, actor: _Actor) -> None:
        """End the pause of somebody."""
        pause = actor.pause
        self.at(self.now, lambda: self._resume(actor, pause, signalled=True))

    def _resume(self, actor: _Actor, pause: int, *, signalled: bool) -> None:
        if pause != actor.pause:
            return
        actor.pause += 1
        actor.signalled = signalled
        before, self._current = self._current, actor
        actor.go.release()
        self.back.acquire()
        self._current = before
        if actor.failure:
            raise actor.failure


class Signal:
    """A condition, for one who waits; its lock is that nobody else runs."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._waiting: _Actor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait(self, timeout: float | None = None) -> bool:
        """Wait to be notified."""
        self._waiting = self._timeline.current()
        try:
            return self._timeline.wait(timeout)
        finally:
            self._waiting = None

    def notify(self) -> None:
        """Wake whoever waits."""
        if self._waiting:
            self._timeline.wake(self._waiting)
