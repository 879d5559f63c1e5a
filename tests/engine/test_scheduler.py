from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.engine.base import SLOTS
from jupyter_turbopilot.engine.job import DEADLINE, SUPERSEDED, Generation, Priority
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.engine.scheduler import LONGEST_RETRY, MOST_OWED, TURN, QueueLimits, Scheduler

from .jobs import FunctionGeneration, FunctionJob, Outcome, until_cancelled

if TYPE_CHECKING:
    import pytest

TYPING, TEXT, BULK, AHEAD, WARM = Priority
ENDLESS = 10**6


class One(FunctionGeneration):
    """A generation with a number of steps."""

    def __init__(
        self,
        caller: str,
        priority: Priority = TYPING,
        left: int = 1,
        *,
        client: str = "",
        deadline: float = 0.0,
    ) -> None:
        more = {"priority": priority, "caller": caller, "client": client, "deadline": deadline}
        super().__init__(FunctionJob(until_cancelled, Outcome(), **more))
        self.left = left


def scheduler_of(*ones: One, limit: int = 1000, running: int = 0, waiting: int = 0) -> Scheduler:
    scheduler = Scheduler(QueueLimits(limit, running, waiting))
    for one in ones:
        assert scheduler.add(one) is None
    return scheduler


def serve(scheduler: Scheduler, seconds: float = 0.02, *, tokens: int = 1) -> list[One]:
    """Run one step of a local engine; return its jobs."""
    priority = scheduler.priorities()[0]
    line = cast("list[One]", scheduler.begin_next(priority))
    for one in line:
        one.left -= 1
        if not one.left:
            assert scheduler.remove(one)
    scheduler.charge(priority, seconds, dict.fromkeys(line, tokens))
    return line


def serve_together(scheduler: Scheduler, cost: float = 0.1, prompt: float = 0.0) -> list[One]:
    """Let a remote engine generate tokens for all its jobs; return the jobs."""
    line = cast("list[One]", scheduler.begin_next(TYPING, remote=True))
    for one in line:
        one.left -= 1
        if not one.left:
            scheduler.remove(one)
        scheduler.charge(one.priority, cost, {one: 1}, prompt)
    return line


def priorities(ones: Sequence[Generation]) -> list[Priority]:
    return [one.priority for one in ones]


def waiting_jobs(scheduler: Scheduler) -> Counter[str]:
    return Counter(one.caller for one in scheduler if one not in scheduler.begun)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abcdefghijkl"),
        st.sampled_from(list(Priority)),
        st.integers(1, 30),
        st.integers(0, 4),
    ),
    max_size=80,
)
Events = list[tuple[str, Priority, int, int]]

# Priorities ---------------------------------------------------------------------------------------------------


def test_scheduler_serves_typing_first_and_then_half_of_the_time_texts() -> None:
    scheduler = scheduler_of(*(One("a", TEXT, left=ENDLESS) for _ in range(9)))
    for _ in range(50):
        serve(scheduler, seconds=0.5)
    typing = One("a", left=ENDLESS)
    scheduler.add(typing)
    assert [serve(scheduler, 0.02) for _ in range(50)] == [[typing]] * 50
    spent = Counter(serve(scheduler, 0.1)[0].priority for _ in range(2000))
    assert 0.9 < spent[TEXT] / spent[TYPING] < 1.1


# A share for each caller --------------------------------------------------------------------------------------


@given(EVENTS, st.integers(1, 40))
def test_scheduler_serves_every_job_once(events: Events, limit: int) -> None:
    scheduler = Scheduler(QueueLimits(limit))
    expected: list[One] = []
    crowded_out: list[Generation] = []
    for caller, priority, left, steps in events:
        expected.append(One(caller, priority, left))
        if refused := scheduler.add(expected[-1]):
            crowded_out.append(refused[0])
        assert scheduler.waiting <= limit
        for _ in range(min(steps, len(scheduler))):
            if scheduler:
                line = serve(scheduler)
                assert 0 < len(line) <= SLOTS
                assert len(set(priorities(line))) == 1
    for _ in range(sum(one.left for one in expected)):
        if scheduler:
            serve(scheduler)
    assert not scheduler
    assert all((one.left == 0) != (one in crowded_out) for one in expected)


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=12), st.integers(1, 6), st.sampled_from([TYPING, BULK])
)
def test_scheduler_gives_busy_callers_the_same(wanted: list[int], length: int, priority: Priority) -> None:
    """Each caller always has this number of jobs. A caller that needs less than its share gets everything."""
    scheduler = Scheduler(QueueLimits(1000))
    steps: Counter[str] = Counter()
    rounds = 30 * length
    for _ in range(rounds):
        for number, count in enumerate(wanted):
            own = sum(one.caller == str(number) for one in scheduler)
            for _ in range(count - own):
                scheduler.add(One(str(number), priority, length))
        steps.update(one.caller for one in serve(scheduler))
    # If there are more callers than slots, two of them may have to take turns.
    share = SLOTS // len(wanted) or 0.5
    for number, count in enumerate(wanted):
        assert steps[str(number)] >= 0.9 * min(count, share) * rounds


@settings(max_examples=15)
@given(st.integers(1, 30))
def test_scheduler_serves_a_caller_beside_a_stream_of_newcomers(crowd: int) -> None:
    first = [One("patient", left=3) for _ in range(4)]
    scheduler = scheduler_of(*first)
    for number in range(12 * (crowd + SLOTS)):
        while len(scheduler) < crowd + 4:
            scheduler.add(One(f"newcomer {number} {len(scheduler)}", left=2))
        serve(scheduler)
        if not any(one in scheduler for one in first):
            return
    raise AssertionError("a job was never served")


@given(EVENTS)
def test_scheduler_serves_no_next_job_before_an_earlier_callers_first(events: Events) -> None:
    scheduler = Scheduler(QueueLimits(1000))
    before: dict[
        Generation, set[str]
    ] = {}  # waiting jobs, and the callers whose next job has to wait for them
    for caller, _, left, steps in events:
        scheduler.add(One(caller, TYPING, left))
        for _ in range(min(steps, len(scheduler))):
            begun = set(scheduler.begun)
            line = serve(scheduler, 0.2)
            for waiting, ended in before.items():
                passed = [one for one in line if one.caller in ended and one not in begun]
                assert waiting in line or not passed
            before = {one: ended for one, ended in before.items() if one not in line and one in scheduler}
            firsts = {one.caller: one for one in reversed(list(scheduler))}
            for one in firsts.values():
                if one not in scheduler.begun:
                    before.setdefault(one, set()).update(o.caller for o in line if o not in scheduler)


# Turns by time ------------------------------------------------------------------------------------------------


def test_scheduler_serves_a_ninth_caller_after_one_turn_of_the_others() -> None:
    scheduler = scheduler_of(*(One(str(number), left=ENDLESS) for number in range(SLOTS)))
    for _ in range(1000):
        serve(scheduler)
    ninth = One("ninth", left=3)
    scheduler.add(ninth)
    waited = next(step for step in range(1000) if ninth in serve(scheduler))
    assert waited * 0.02 <= TURN + 0.04
    assert [ninth in serve(scheduler) for _ in range(3)] == [True, True, False]
    assert ninth not in scheduler


@settings(max_examples=25)
@given(
    st.integers(1, 40),
    st.floats(0.01, 0.3),
    st.sampled_from([TYPING, BULK]),
    st.lists(st.integers(1, 3), min_size=40, max_size=40),
)
@example(33, 0.234375, TYPING, [1] * 40)  # a turn was one step too long
def test_scheduler_shares_the_time_between_endless_jobs(
    callers: int, seconds: float, priority: Priority, requests: list[int]
) -> None:
    scheduler = scheduler_of(
        *(
            One(str(number), priority, ENDLESS)
            for number in range(callers)
            for _ in range(requests[number] if callers <= SLOTS else 1)
        )
    )
    turn = max(TURN, seconds) + seconds
    rounds = int(20 * max(1, callers / SLOTS) * turn / seconds)
    last = dict.fromkeys(map(str, range(callers)), 0)
    steps: Counter[str] = Counter()
    for step in range(rounds):
        served = {one.caller for one in serve(scheduler, seconds)}
        steps.update(served)
        for caller in served:
            waited = (step - last[caller] - 1) * seconds
            assert waited <= (callers // SLOTS + 1) * turn
            last[caller] = step
    assert len(steps) == callers
    assert min(steps.values()) >= 0.8 * max(steps.values())


def test_scheduler_charges_remote_engines_for_tokens() -> None:
    """A caller whose texts are twice as fast has half as many turns."""
    scheduler = scheduler_of(fast := One("fast", left=ENDLESS), One("slow", left=ENDLESS))
    scheduler.slots = 1
    steps: Counter[str] = Counter()
    for _ in range(3000):
        (one,) = scheduler.begin_next(TYPING, remote=True)
        scheduler.charge_tokens({one: 2 if one is fast else 1})
        steps[one.caller] += 1
    assert 1.9 < steps["slow"] / steps["fast"] < 2.1


@given(st.lists(st.floats(0, 100), min_size=2, max_size=12), st.integers(1, 4))
def test_scheduler_bounds_the_turns_that_a_caller_skips(owed: list[float], places: int) -> None:
    scheduler = scheduler_of(*(One(str(number), left=ENDLESS) for number in range(len(owed))))
    scheduler.slots = places
    last = dict.fromkeys(range(len(owed)), 0)
    for step in range(60 * len(owed)):
        for one in scheduler.begin_next(TYPING, remote=True):
            number = int(one.caller)
            assert step - last[number] <= (MOST_OWED + 3) * len(owed)
            last[number] = step
            scheduler.charge(TYPING, TURN, {one: 1}, owed[number])
    assert min(last.values()) > 0


# The seat ----------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), st.integers(0, 11), st.integers(0, 3))
def test_scheduler_keeps_the_place_of_a_generation_when_it_seats_a_newer_job(
    callers: list[str], which: int, steps: int
) -> None:
    ones = [One(caller, left=100) for caller in callers]
    scheduler = scheduler_of(*ones)
    for _ in range(steps):
        serve(scheduler)
    generation = ones[which % len(ones)]
    newer = One(generation.caller).job
    before, begun = list(scheduler), {*scheduler.begun}
    scheduler.seat(generation, newer)
    assert (list(scheduler), scheduler.begun, generation.job) == (before, begun, newer)
    assert generation.seconds == 0.0  # the load is counted for each request


def test_scheduler_serves_the_generation_of_a_prefetch_by_the_priority_of_the_next_job() -> None:
    ahead, other = One("a", AHEAD, left=100), One("b", BULK, left=100)
    scheduler = scheduler_of(ahead)
    serve(scheduler)
    scheduler.add(other)
    scheduler.seat(ahead, One("a").job)
    assert (ahead in scheduler.begun, len(scheduler), scheduler.waiting) == (True, 2, 1)
    assert scheduler.begin_next(scheduler.priorities()[0]) == [ahead]


def test_scheduler_finds_the_generation_that_a_job_of_an_editor_waits_for() -> None:
    ones = [One(caller, client=client) for caller in "ab" for client in ("one", "two", "")]
    scheduler = scheduler_of(*ones)
    assert [scheduler.find(one.job) for one in ones] == [*ones[:2], None, *ones[3:5], None]
    ones[0].job.cancel.set(SUPERSEDED)
    assert scheduler.find(ones[0].job) is None


# Remote engines -----------------------------------------------------------------------------------------------


@given(EVENTS, st.integers(0, 3), st.integers(1, 30))
def test_scheduler_fills_the_places_of_a_remote_engine_within_the_limits(
    events: Events, running: int, places: int
) -> None:
    scheduler = scheduler_of(running=running)
    scheduler.slots = places
    ones = []
    for caller, priority, left, steps in events:
        ones.append(One(caller, priority, left))
        scheduler.add(ones[-1])
        for _ in range(steps):
            asked = Counter(one.caller for one in scheduler if one.priority.awaited)
            line = serve_together(scheduler)
            assert len(line) == len(set(line)) <= places
            served = [one for one in line if one.priority.awaited]
            most = min(running or len(ones), *asked.values()) if asked and running else len(ones)
            assert max(Counter(one.caller for one in served).values(), default=0) <= most
            assert len(served) == min(places, sum(min(most, count) for count in asked.values()))
    for _ in range(sum(one.left for one in ones)):
        serve_together(scheduler)
    assert not scheduler


# Limits for each caller ---------------------------------------------------------------------------------------


@given(EVENTS, st.integers(1, 3))
def test_scheduler_demotes_only_after_jobs_that_are_served(events: Events, running: int) -> None:
    scheduler = scheduler_of(running=running)

    def step() -> None:
        serve(scheduler)
        for one in scheduler:
            before = [o for o in scheduler if o.caller == one.caller and o.priority <= one.job.priority]
            assert one.priority is one.job.priority or len(before) >= running
        assert len(scheduler) == len(list(scheduler)) == scheduler.waiting + len(scheduler.begun)

    for caller, priority, left, steps in events:
        scheduler.add(One(caller, priority, left))
        for _ in range(min(steps, len(scheduler))):
            if scheduler:
                step()
    while scheduler:
        step()


def test_scheduler_crowds_out_prefetches_of_a_caller_with_enough_first() -> None:
    warm, first, other = One("a", WARM), One("a"), One("b")
    scheduler = scheduler_of(warm, first, other, waiting=2)
    second, third = One("a"), One("a")
    assert [refused[0] for one in (second, third) if (refused := scheduler.add(one))] == [warm, third]
    assert list(scheduler) == [first, other, second]
    serve(scheduler)
    assert scheduler.add(One("a")) is None


@given(EVENTS, st.integers(0, 3), st.integers(0, 3))
def test_scheduler_keeps_the_limits_of_every_caller(events: Events, running: int, waiting: int) -> None:
    scheduler = scheduler_of(running=running, waiting=waiting)
    for caller, priority, left, steps in events:
        scheduler.add(One(caller, priority, left))
        assert not waiting or max(waiting_jobs(scheduler).values(), default=0) <= waiting
        for _ in range(min(steps, len(scheduler))):
            if scheduler:
                served = Counter(one.caller for one in serve(scheduler))
                assert not running or max(served.values()) <= running


# Refusals -----------------------------------------------------------------------------------------------------


class Refusing(Scheduler):
    """A scheduler that lets one job of each caller wait, and has its own clock."""

    now = 100.0

    def __init__(self) -> None:
        super().__init__(QueueLimits(100, 1, waiting=1))

    def clock(self) -> float:  # type: ignore[override]
        return self.now

    def after(self, caller: str) -> float:
        """Return the seconds after which a rejected caller may retry."""
        while (refused := self.add(One(caller, TYPING))) is None:
            pass
        assert (refused[1].code, refused[1].status) == ("too_many_waiting", 429)
        return refused[1].after


def test_scheduler_spreads_the_times_to_retry() -> None:
    scheduler = Refusing()
    assert [scheduler.after("a") for _ in range(3)] == [1, 2, 3]
    assert scheduler.after("b") == 1
    scheduler.now += 1
    assert scheduler.after("a") == 3
    assert [scheduler.after("a") for _ in range(9)][-1] == LONGEST_RETRY
    scheduler.now += 60
    assert scheduler.after("a") == 1


# Deadlines ----------------------------------------------------------------------------------------------------


def test_scheduler_cancels_late_jobs_and_removes_those_that_wait() -> None:
    begun, waiting, patient, endless = ones = [
        One("a", deadline=deadline) for deadline in (1.0, 2.0, 3600.0, 0.0)
    ]
    scheduler = scheduler_of(*ones)
    scheduler.begun.add(begun)
    assert scheduler.earliest == begun.job.deadline
    assert scheduler.expire(begun.job.deadline) == []
    assert scheduler.earliest == waiting.job.deadline
    assert scheduler.expire(waiting.job.deadline) == [waiting.job]
    assert [one.job.cancel.reason for one in ones] == [DEADLINE, DEADLINE, None, None]
    assert (list(scheduler), scheduler.earliest) == ([begun, patient, endless], patient.job.deadline)
    scheduler.remove(patient)
    assert scheduler.earliest == math.inf


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12))
def test_scheduler_removes_only_jobs_cancelled_before_they_began(states: list[tuple[bool, bool]]) -> None:
    scheduler = Scheduler(QueueLimits())
    expected = []
    for begun, cancelled in states:
        scheduler.add(one := One("a"))
        if begun:
            scheduler.begun.add(one)
        if cancelled:
            one.job.cancel.set(SUPERSEDED)
        if cancelled and not begun:
            expected.append(one)
    left = [one for one in scheduler if one not in expected]
    assert scheduler.expire(0.0) == [one.job for one in expected]
    assert list(scheduler) == left


def test_only_callers_above_the_average_reach_the_last_level(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(Scheduler, "clock", lambda _: now)
    scheduler = scheduler_of(One("ada", left=ENDLESS), One("bob", left=ENDLESS), One("eve", left=ENDLESS))
    assert scheduler.level("ada") is Level.NONE
    jobs = {job.caller: job for job in scheduler}
    scheduler.begun.update(jobs.values())
    scheduler.charge(TYPING, 3.0, {jobs["ada"]: 1})
    scheduler.charge(TYPING, 1.0, {jobs["bob"]: 1, jobs["eve"]: 1})
    for name in ("ada", "bob", "eve") * 20:  # each request takes three seconds
        scheduler.remove(jobs[name])
        jobs[name] = One(name, left=ENDLESS)
        scheduler.add(jobs[name])
        scheduler.begun.add(jobs[name])
        jobs[name].seconds = 3.0
        now += 1.0
    assert scheduler.level() is scheduler.level("ada") is Level.REFUSE_BUSIEST
    assert scheduler.level("bob") is scheduler.level("new") is Level.SHORT_SUGGESTIONS


def test_requests_without_computing_time_do_not_count_as_load(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(Scheduler, "clock", lambda _: now)
    scheduler = scheduler_of(*(One(name, left=ENDLESS) for name in ("ada", "bob", "eve")))
    for number in range(60):
        scheduler.add(one := One("ada"))
        scheduler.begun.add(one)
        one.seconds = 3.0 if number < 30 else 0.0  # the last ones are answered from the cache
        scheduler.remove(one)
        now += 1.0
    assert scheduler.level() is Level.REFUSE_BUSIEST
