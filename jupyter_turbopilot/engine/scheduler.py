"""Schedule generations: their order, the limits for each caller, and deadlines. Without threads."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import SLOTS
from jupyter_turbopilot.engine.job import DEADLINE, Generation, Priority
from jupyter_turbopilot.engine.load_shedding import Level, LoadMeter
from jupyter_turbopilot.protocol.errors import BusyError
from jupyter_turbopilot.util.bounds import LimitedDict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jupyter_turbopilot.engine.job import Job

# While users wait for single texts, bulk work gets one eighth of the time.
BULK_FACTOR = 7
HEAD_START = 2.0  # seconds of computing that a priority may use before a lower one gets its share
# Seconds of computing in a caller's turn, after its first token. Shorter turns cost more: a prompt may have
# to be evaluated again after other callers have used its slot. Longer turns delay a ninth caller.
TURN = 0.5
MOST_OWED = 8  # the maximum number of turns that a caller skips for the evaluation of its prompts
# Seconds of computing, for all editors, after which the time that an editor has used counts half.
HALF_LIFE = 10.0
NEGLIGIBLE = 1e-4  # seconds
MAX_CALLERS = 4096  # callers whose seconds are counted
# Seconds charged for a token that a remote engine generates, and for one that it evaluates.
GENERATED, EVALUATED = 0.02, 0.01
# Seconds until a rejected request may be sent again, if several of a caller are rejected: 1, 2, 3, … Clients
# may give up after longer delays.
LONGEST_RETRY = 8.0
BUSY = "The server has too many requests. Try again in a moment."
TOO_MANY_WAITING = "Too many of your requests are waiting. Try again in a moment."


@dataclass
class QueueLimits:
    """The number of jobs that may wait, and those of one caller that may run or wait (0: no limit)."""

    queue: int = 32
    running: int = 0
    waiting: int = 0


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
    """The callers with jobs of one priority, served by deficit round robin.

    Each caller has a turn in every round. It skips rounds to pay for the evaluation of its prompts.
    """

    turns: dict[str, _Turn] = field(default_factory=dict)
    round: int = 0  # the latest round in which a caller was served
    spent: float = 0.0  # seconds of all callers, weighted

    def next_turn(self, caller: str, length: float) -> None:
        """Append a caller to its next round."""
        owed = self.turns.pop(caller).owed if caller in self.turns else 0.0
        skipped = min(MOST_OWED, int(owed / TURN))
        self.turns[caller] = _Turn(self.round + 1 + skipped, length, owed % TURN)


class Scheduler:
    """All generations that wait or have begun, in the order in which they are served.

    One that has begun may have to pause. A caller's second one waits for the first one of every caller, and
    a caller that has used up its turn waits for the others.
    """

    clock = staticmethod(time.monotonic)

    def __init__(self, limits: QueueLimits, *, deadline: float = 10.0) -> None:
        """`deadline`: the usual deadline of a job in seconds, to which the load is compared.

        A caller's generations beyond `limits.running` have bulk priority until an earlier one has ended.
        """
        self.limits = limits
        self.slots = SLOTS  # how many texts the engine generates at a time
        self._generations: list[Generation] = []
        self.begun: set[Generation] = set()
        self._ranks = {priority: _Rank() for priority in Priority}
        self._recent: dict[tuple[str, str], float] = {}  # seconds that each editor has used, with decay
        self.seconds = LimitedDict[str, float](MAX_CALLERS)  # of computing, by caller
        self._load = LoadMeter(deadline)
        self._retries = LimitedDict[str, float](MAX_CALLERS)  # when a caller's last rejected one may return

    def __len__(self) -> int:
        return len(self._generations)

    def __iter__(self) -> Iterator[Generation]:
        """Iterate over all generations, the highest priority first."""
        return chain.from_iterable(self._by_turns(priority) for priority in Priority)

    @property
    def waiting(self) -> int:
        return len(self._generations) - len(self.begun)

    def level(self, caller: str | None = None) -> Level:
        """Return the level of load shedding, for a caller if given.

        Only callers that have used more than the average reach the highest level.
        """
        self._measure_load()
        level = self._load.level
        if caller is None or level < Level.REFUSE_BUSIEST:
            return level
        used: defaultdict[str, float] = defaultdict(float)
        for (name, _), seconds in self._recent.items():
            used[name] += seconds
        is_busiest = caller in used and used[caller] > sum(used.values()) / len(used)
        return level if is_busiest else Level.SHORT_SUGGESTIONS

    def _measure_load(self) -> None:
        # Bulk work is limited to its own share of the time, so it does not count.
        waiting = {one.caller for one in self._generations if one.priority < Priority.BULK}
        self._load.update(len(waiting), self.clock())

    def add(self, generation: Generation) -> tuple[Generation, BusyError] | None:
        """Add a generation; return the one that is dropped for it, perhaps itself, and the error to report.

        If the caller has the maximum number that waits, one of its own is dropped.
        """
        own = [other for other in self._generations if other.caller == generation.caller]
        at_limit = 0 < self.limits.waiting <= sum(other not in self.begun for other in own)
        # An editor goes before editors of the same caller that have recently used at least a turn more, so
        # that a user does not wait for other editors' long prompts. The first job stays: its turn has begun.
        most = self._used(generation) + TURN
        same = [other for other in own if other.job.priority is generation.job.priority]
        later = (self._generations.index(other) for other in same[1:] if self._used(other) > most)
        self._generations.insert(next(later, len(self._generations)), generation)
        self._update(generation.caller)
        # Paused jobs use memory: beyond the usual number they count as waiting.
        counted = len(self._generations) - min(len(self.begun), 2 * self.slots)
        if not at_limit and counted <= self.limits.queue:
            return None
        waiting = (other for other in self if other not in self.begun)
        *_, last = (other for other in waiting if not at_limit or other.caller == generation.caller)
        self.remove(last)
        if not at_limit:
            return last, BusyError(BUSY)
        after = self._retry_after(generation.caller) if last.priority.awaited else 1.0
        return last, BusyError(TOO_MANY_WAITING, code="too_many_waiting", after=after)

    def remove(self, generation: Generation) -> bool:
        """Remove a generation; return False if it is not here. If it has begun, its caller's turn ends."""
        if generation not in self._generations:
            return False
        self._generations.remove(generation)
        self._update(generation.caller)
        self._count_request(generation)
        rank = self._ranks[generation.priority]
        if generation in self.begun and generation.caller in rank.turns:
            rank.next_turn(generation.caller, TURN)
        self.begun.discard(generation)
        return True

    def find(self, job: Job) -> Generation | None:
        """Return the current generation of a job's editor; None without a client name."""
        found = (one for one in self._generations if one.job.editor == job.editor and not one.is_cancelled)
        return next(found, None) if job.client else None

    def seat(self, generation: Generation, job: Job) -> None:
        """Let a generation serve a newer job of its editor, at the same position."""
        self._count_request(generation)
        generation.seat(job)
        self._update(generation.caller)

    def _count_request(self, generation: Generation) -> None:
        """Add the computing time of a job that ends to the load, unless it was answered from the cache."""
        if generation.seconds and generation in self.begun and generation.priority < Priority.BULK:
            self._load.add_request(generation.seconds)

    def expire(self, now: float) -> list[Job]:
        """Cancel jobs after their deadline; return those that were cancelled before they began."""
        for one in self._generations:
            if one.job.deadline <= now:
                one.job.cancel.set(DEADLINE)
        cancelled = [one for one in self._generations if one.is_cancelled and one not in self.begun]
        for one in cancelled:
            self.remove(one)
        return [one.job for one in cancelled]

    @property
    def earliest(self) -> float:
        """The earliest deadline of a job that is not cancelled."""
        return min((one.job.deadline for one in self._generations if not one.is_cancelled), default=math.inf)

    def priorities(self) -> list[Priority]:
        """Return the priority to serve, then those to serve if the engine has no slot for it."""
        present = [priority for priority in Priority if self._ranks[priority].turns]
        awaited = [priority for priority in present if priority.awaited]
        return sorted(awaited, key=lambda priority: self._ranks[priority].spent) or present[:1]

    def begin_next(self, priority: Priority, *, remote: bool = False) -> list[Generation]:
        """Begin the generations of a priority to serve now, or of all with a remote engine; return them."""
        slots = self.slots if priority.awaited else max(1, self.slots // SLOTS)
        served = self._next_remote() if remote else self._by_turns(priority, self._most(priority))[:slots]
        self.begun.update(served)
        for one in served:
            rank = self._ranks[one.priority]
            rank.round = max(rank.round, rank.turns[one.caller].round)
        return served

    def _next_remote(self) -> list[Generation]:
        """Return those to serve now by a remote engine, whose texts do not slow each other down.

        Lower priorities get the remaining slots. A few slots are reserved for those that are awaited.
        """
        most, share = self._most(*Priority), self.slots // SLOTS
        running, queues = Counter[str](), {priority: list[Generation]() for priority in Priority}
        for one in self:
            if not most or running[one.caller] < most:
                running[one.caller] += 1
                queues[one.priority].append(one)
        served: list[Generation] = []
        for priority, queue in queues.items():
            reserved = sum(min(share, len(queues[p])) for p in Priority if priority < p <= Priority.BULK)
            slots = self.slots if priority.awaited else max(1, share)
            served += queue[: max(0, min(slots, self.slots - reserved - len(served)))]
        return served

    def charge(
        self, priority: Priority, seconds: float, served: Mapping[Generation, int], prompt: float = 0.0
    ) -> None:
        """Charge the callers of one priority for a step, and end the turns that are used up.

        `served`: the number of tokens of each. `prompt`: extra seconds, for which callers skip turns.
        """
        for generation in served:
            generation.seconds += seconds / len(served) + prompt
            used = self.seconds.get(generation.caller, 0.0)
            self.seconds[generation.caller] = used + seconds / len(served) + prompt
        if not priority.awaited:  # such jobs are served one by one
            return
        rank = self._ranks[priority]
        # All bulk work together gets at most as much as one caller that waits for single texts.
        callers = max(len(self._ranks[each].turns) for each in (Priority.TYPING, Priority.TEXT))
        rank.spent += (seconds + prompt) * (max(BULK_FACTOR, callers) if priority is Priority.BULK else 1)
        decay = 0.5 ** (seconds / HALF_LIFE)
        self._recent = {key: used * decay for key, used in self._recent.items() if used > NEGLIGIBLE}
        for generation in served:
            self._recent[generation.account] = self._used(generation) + seconds / len(served)
        slots = Counter(one.caller for one in served if one.caller in rank.turns)
        with_tokens = {one.caller for one, tokens in served.items() if tokens}
        # If several turns end together, callers that used more slots come later in the next round.
        for caller in sorted(slots, key=slots.__getitem__):
            turn = rank.turns[caller]
            turn.owed += prompt
            if caller in with_tokens and not turn.has_tokens:
                turn.owed += turn.used
                turn.has_tokens, turn.used, turn.length = True, 0.0, TURN
            turn.used += seconds
            if turn.used >= turn.length:
                # If the turn was too short for the prompt and other callers use its slot next, the prompt has
                # to be evaluated again: double the turn.
                long_enough = turn.has_tokens or len(slots) == len(rank.turns)
                rank.next_turn(caller, TURN if long_enough else 2 * turn.length)

    def charge_tokens(self, served: Mapping[Generation, int]) -> None:
        """Charge the callers of a remote engine by token: its time also depends on other clients."""
        for one, tokens in served.items():
            if tokens:
                self.charge(one.priority, GENERATED * tokens, {one: tokens}, EVALUATED * one.uncharged)
                one.uncharged = 0

    def _by_turns(self, priority: Priority, most: int = 0) -> list[Generation]:
        """Return the first one of every caller, then the second of every caller, up to `most`; 0: all."""
        turns = self._ranks[priority].turns
        own: dict[str, list[Generation]] = {c: [] for c in sorted(turns, key=lambda c: turns[c].round)}
        for one in self._generations:
            if one.priority is priority:
                own[one.caller].append(one)
        by_position = zip_longest(*(line[: most or None] for line in own.values()))
        return [one for one in chain.from_iterable(by_position) if one]

    def _most(self, *priorities: Priority) -> int:
        """Return how many generations of one caller to serve now; 0: all.

        Texts slow each other down, so each caller gets as many as the caller with the fewest.
        """
        awaited = [priority for priority in priorities if priority.awaited]
        counts = Counter(one.caller for one in self._generations if one.priority in awaited)
        running = self.limits.running
        return min(running, *counts.values()) if running and counts else running

    def _update(self, caller: str) -> None:
        """Set the priorities of a caller's generations, and add or remove its turn in each rank."""
        own = [one for one in self._generations if one.caller == caller]
        before: list[Priority] = []
        for one in own if self.limits.running else ():
            asked = one.job.priority
            beyond = sum(priority <= asked for priority in before) >= self.limits.running
            one.priority = max(asked, Priority.BULK) if beyond else asked
            if not one.is_cancelled:
                before.append(asked)
        self._measure_load()
        for priority, rank in self._ranks.items():
            if all(one.priority is not priority for one in own):
                rank.turns.pop(caller, None)
            elif caller not in rank.turns:
                if not rank.turns:  # a priority without jobs does not accumulate time
                    spent = (r.spent - HEAD_START * (priority < p) for p, r in self._ranks.items())
                    rank.spent = max(rank.spent, *spent)
                rank.next_turn(caller, TURN)

    def _used(self, generation: Generation) -> float:
        return self._recent.get(generation.account, 0.0)

    def _retry_after(self, caller: str) -> float:
        """Return the seconds until a retry; a caller's rejected requests come back one after the other."""
        now = self.clock()
        after = min(max(self._retries.get(caller, now) - now, 0.0) + 1, LONGEST_RETRY)
        self._retries[caller] = now + after
        return after
