"""The order in which jobs are served, the limits for each caller, and deadlines. Without threads."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import PLACES
from jupyter_turbopilot.engine.job import DEADLINE, Job, Priority
from jupyter_turbopilot.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# While users wait for single texts, bulk work gets one part in eight of the time: enough to come to an end.
BULK_FACTOR = 7
HEAD_START = 2.0  # seconds of computing that a priority may use before a lower one gets its part
# A caller's turn lasts so many seconds of computing after its first token. A prompt may have to be evaluated
# again after other callers had its room, so shorter turns cost more; longer ones keep a ninth caller waiting.
TURN = 0.5
MOST_OWED = 8  # turns that a caller skips at most for the evaluation of its prompts
# The time that an editor has used counts half after so many seconds of computing for all editors.
HALF_LIFE = 10.0
NEGLIGIBLE = 1e-4  # seconds
# Seconds that are charged for a token that a remote engine generates, and for one that it evaluates.
GENERATED, EVALUATED = 0.02, 0.01
LONGEST_RETRY = 8.0  # seconds until a refused caller may ask again; after longer it may give up
WEIGHT = 1 / 8  # of the latest text in the average duration
BUSY = "The server has too many requests. Try again in a moment."
ENOUGH = "You have too many requests that wait. Try again in a moment."


@dataclass
class _Turn:
    """A caller's turn."""

    round: int
    length: float = TURN
    owed: float = 0.0  # seconds of prompt evaluation, in turns in which the caller also got tokens
    used: float = 0.0
    has_tokens: bool = False


@dataclass
class _Rank:
    """The callers that have jobs of one priority: a deficit round robin.

    Each caller has a turn in every round. It pays for the evaluation of its prompts with skipped rounds.
    """

    turns: dict[str, _Turn] = field(default_factory=dict)
    round: int = 0  # the latest that a caller was served in
    spent: float = 0.0  # seconds of all callers, weighted

    def next_turn(self, caller: str, length: float) -> None:
        """Put a caller behind the others of its next round."""
        owed = self.turns.pop(caller).owed if caller in self.turns else 0.0
        skipped = min(MOST_OWED, int(owed / TURN))
        self.turns[caller] = _Turn(self.round + 1 + skipped, length, owed % TURN)


class Scheduler:
    """All jobs that wait or have begun. The order depends on nothing but what is noted here.

    A job that has begun may have to pause: a caller's second job waits for the first of every caller, and a
    caller that has used up its turn waits for the others.
    """

    clock = staticmethod(time.monotonic)

    def __init__(self, limit: int, *, running: int = 0, waiting: int = 0) -> None:
        """`limit`: how many may wait; `running`, `waiting`: of one caller; 0: no limit.

        A caller's jobs beyond `running` are bulk work until one before them has ended.
        """
        self.limit = limit
        self.places = PLACES  # how many texts the engine generates at a time
        self._running = running
        self._waiting = waiting
        self._jobs: list[Job] = []
        self.begun: set[Job] = set()
        self._ranks = {priority: _Rank() for priority in Priority}
        self._recent: dict[tuple[str, str], float] = {}  # seconds that each editor has used, decaying
        self._seconds = 1.0  # that a text takes, on average
        self._retries: dict[str, float] = {}  # when the last refused request of each caller may come again

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        """List all jobs, the most important first."""
        return chain.from_iterable(self._by_turns(priority) for priority in Priority)

    @property
    def waiting(self) -> int:
        """How many jobs have not begun."""
        return len(self._jobs) - len(self.begun)

    def add(self, job: Job) -> tuple[Job, BusyError] | None:
        """Add a job; return the job that is crowded out, which may be itself, and the error to report.

        A caller that has as many waiting jobs as allowed crowds out one of its own.
        """
        own = [other for other in self._jobs if other.caller == job.caller]
        enough = 0 < self._waiting <= sum(other not in self.begun for other in own)
        # An editor goes before editors of the same caller that have recently used a turn more, so that a user
        # does not wait for long prompts of their other editors. The first job stays: its turn is under way.
        most = self._used(job) + TURN
        same = [other for other in own if other.asked_as is job.asked_as]
        behind = (self._jobs.index(other) for other in same[1:] if self._used(other) > most)
        self._jobs.insert(next(behind, len(self._jobs)), job)
        self._update(job.caller)
        # Paused jobs take memory: beyond the usual number they take places in the queue.
        counted = len(self._jobs) - min(len(self.begun), 2 * self.places)
        if not enough and counted <= self.limit:
            return None
        waiting = (other for other in self if other not in self.begun)
        *_, last = (other for other in waiting if not enough or other.caller == job.caller)
        self.remove(last)
        if not enough:
            return last, BusyError(BUSY)
        after = self._retry_after(job.caller) if last.priority.awaited else 1.0
        return last, BusyError(ENOUGH, code="too_many_waiting", after=after)

    def remove(self, job: Job) -> bool:
        """Remove a job; return whether it was there. If it had begun, its caller's turn ends."""
        if job not in self._jobs:
            return False
        self._jobs.remove(job)
        self._update(job.caller)
        rank = self._ranks[job.priority]
        if job in self.begun and job.caller in rank.turns:
            rank.next_turn(job.caller, TURN)
        self.begun.discard(job)
        return True

    def replace(self, older: Job, newer: Job) -> bool:
        """Put a job in the place of another of the same caller; return whether that was there."""
        if older not in self._jobs:
            return False
        self._jobs[self._jobs.index(older)] = newer
        if older in self.begun:
            self.begun.remove(older)
            self.begun.add(newer)
        self._update(newer.caller)
        return True

    def expire(self, now: float) -> list[Job]:
        """Cancel the jobs that are late; remove and return those that were cancelled before they began."""
        for job in self._jobs:
            if job.deadline <= now:
                job.cancel.set(DEADLINE)
        cancelled = [job for job in self._jobs if job.cancel.is_set() and job not in self.begun]
        for job in cancelled:
            self.remove(job)
        return cancelled

    @property
    def earliest(self) -> float:
        """The earliest deadline of a job that is not cancelled."""
        return min((job.deadline for job in self._jobs if not job.cancel.is_set()), default=math.inf)

    def priorities(self) -> list[Priority]:
        """Return the priority to serve, and those to serve if the engine has no room for it."""
        present = [priority for priority in Priority if self._ranks[priority].turns]
        awaited = [priority for priority in present if priority.awaited]
        return sorted(awaited, key=lambda priority: self._ranks[priority].spent) or present[:1]

    def line(self, priority: Priority) -> list[Job]:
        """Return the jobs of one priority to serve now, in order."""
        places = self.places if priority.awaited else max(1, self.places // PLACES)
        return self._by_turns(priority, self._most(priority))[:places]

    def together(self) -> list[Job]:
        """Return the jobs to serve now by an engine whose texts do not slow each other down.

        Lower priorities get the places that are left, and a few in any case if they are awaited.
        """
        most, part = self._most(*Priority), self.places // PLACES
        running, lines = Counter[str](), {priority: list[Job]() for priority in Priority}
        for job in self:
            if not most or running[job.caller] < most:
                running[job.caller] += 1
                lines[job.priority].append(job)
        jobs: list[Job] = []
        for priority, line in lines.items():
            kept = sum(min(part, len(lines[p])) for p in Priority if priority < p <= Priority.BULK)
            places = self.places if priority.awaited else max(1, part)
            jobs += line[: max(0, min(places, self.places - kept - len(jobs)))]
        return jobs

    def begin(self, job: Job) -> None:
        """Note that a job is served: once it has begun, it stays until it has ended."""
        self.begun.add(job)
        rank = self._ranks[job.priority]
        rank.round = max(rank.round, rank.turns[job.caller].round)

    def charge(
        self, priority: Priority, seconds: float, served: Mapping[Job, int], prompt: float = 0.0
    ) -> None:
        """Charge the callers of jobs of one priority for a step; a caller that has used up its turn waits.

        `served`: how many tokens each job got; `prompt`: further seconds, for which callers skip turns.
        """
        if not priority.awaited:  # such jobs are served one by one
            return
        rank = self._ranks[priority]
        # All bulk work together gets no more than one caller that waits for single texts.
        callers = max(len(self._ranks[each].turns) for each in (Priority.TYPING, Priority.TEXT))
        rank.spent += (seconds + prompt) * (max(BULK_FACTOR, callers) if priority is Priority.BULK else 1)
        decay = 0.5 ** (seconds / HALF_LIFE)
        self._recent = {key: used * decay for key, used in self._recent.items() if used > NEGLIGIBLE}
        for job in served:
            self._recent[job.caller, job.client] = self._used(job) + seconds / len(served)
        # Counted by caller: another job may have taken the place of the one that was served.
        places = Counter(job.caller for job in served if job.caller in rank.turns)
        with_tokens = {job.caller for job, tokens in served.items() if tokens}
        # Of callers whose turns end together, those with more places are put further back.
        for caller in sorted(places, key=places.__getitem__):
            turn = rank.turns[caller]
            turn.owed += prompt
            if caller in with_tokens and not turn.has_tokens:
                turn.owed += turn.used
                turn.has_tokens, turn.used, turn.length = True, 0.0, TURN
            turn.used += seconds
            if turn.used >= turn.length:
                # A turn that was too short for the prompt is too short again if other callers had its room
                # meanwhile: the next one is longer.
                enough = turn.has_tokens or len(places) == len(rank.turns)
                rank.next_turn(caller, TURN if enough else 2 * turn.length)

    def charge_tokens(self, served: Mapping[Job, int]) -> None:
        """Charge the callers of a remote engine, whose time other clients use as well, for tokens."""
        for job, tokens in served.items():
            if tokens:
                self.charge(job.priority, GENERATED * tokens, {job: tokens}, EVALUATED * job.read)
                job.read = 0

    def ended(self, seconds: float) -> None:
        """Note how long a text took that was generated to its end."""
        self._seconds += (min(seconds, LONGEST_RETRY) - self._seconds) * WEIGHT

    def _by_turns(self, priority: Priority, most: int = 0) -> list[Job]:
        """List the first job of every caller, then the second, up to `most`; 0: all."""
        turns = self._ranks[priority].turns
        own: dict[str, list[Job]] = {caller: [] for caller in sorted(turns, key=lambda c: turns[c].round)}
        for job in self._jobs:
            if job.priority is priority:
                own[job.caller].append(job)
        by_place = zip_longest(*(jobs[: most or None] for jobs in own.values()))
        return [job for job in chain.from_iterable(by_place) if job]

    def _most(self, *priorities: Priority) -> int:
        """Return how many jobs of one caller to serve now; 0: all.

        Texts slow each other down, so no caller has more of them than the caller that asks for fewest.
        """
        asked = Counter(j.caller for j in self._jobs if j.priority in priorities and j.priority.awaited)
        return min(self._running, *asked.values()) if self._running and asked else self._running

    def _update(self, caller: str) -> None:
        """Set the priorities of a caller's jobs, and give it a turn in each rank where it has any."""
        own = [job for job in self._jobs if job.caller == caller]
        before: list[Priority] = []
        for job in own if self._running else ():
            beyond = sum(priority <= job.asked_as for priority in before) >= self._running
            job.priority = max(job.asked_as, Priority.BULK) if beyond else job.asked_as
            if not job.cancel.is_set():
                before.append(job.asked_as)
        for priority, rank in self._ranks.items():
            if all(job.priority is not priority for job in own):
                rank.turns.pop(caller, None)
            elif caller not in rank.turns:
                if not rank.turns:  # It cannot claim the time that it did not use while it was absent.
                    spent = (r.spent - HEAD_START * (priority < p) for p, r in self._ranks.items())
                    rank.spent = max(rank.spent, *spent)
                rank.next_turn(caller, TURN)

    def _used(self, job: Job) -> float:
        return self._recent.get((job.caller, job.client), 0.0)

    def _retry_after(self, caller: str) -> float:
        """Return after how many seconds to ask again: refused requests come back one text after the other."""
        now = self.clock()
        self._retries = {name: at for name, at in self._retries.items() if at > now}
        at = self._retries.get(caller, now) + self._seconds / max(1, self._running)
        self._retries[caller] = min(at, now + LONGEST_RETRY)
        return self._retries[caller] - now
