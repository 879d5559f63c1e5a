from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.engine.queue import PLACES, Priority, Queue
from jupyter_turbopilot.engine.ring import MOST_OWED, TURN

TYPING, TEXT, BULK, AHEAD, WARM = Priority


@dataclass(eq=False)
class One:
    """Something that takes so many steps."""

    caller: str
    priority: Priority = TYPING
    left: int = 1
    name: int = 0
    over: bool = False
    client: str = ""

    def __post_init__(self) -> None:
        self.asked_as = self.priority


def queue_of(*ones: One, limit: int = 100) -> Queue[One]:
    queue: Queue[One] = Queue(limit)
    for one in ones:
        assert queue.add(one) is None
    return queue


def serve(queue: Queue[One], seconds: float = 0.02, *, reading: bool = False) -> list[One]:
    """Do one step for those whose turn it is; return them."""
    turn = queue.turns()[0]
    line = queue.line(turn)
    for one in line:
        queue.begin(one)
        one.left -= 1
        if not one.left:
            assert queue.remove(one)
    queue.used(turn, seconds, dict.fromkeys(line, not reading))
    return line


def test_of_one_caller_whoever_came_first_goes_first() -> None:
    ones = [One("a", name=n) for n in range(20)]
    assert queue_of(*ones).line(TYPING) == ones[:PLACES]


def test_a_callers_second_waits_for_everybodys_first() -> None:
    many = [One("many") for _ in range(16)]
    others = [One(name) for name in "abc"]
    line = queue_of(*many, *others).line(TYPING)
    assert line == [many[0], *others, *many[1 : PLACES - 3]]


def test_who_types_goes_before_bulk_at_once() -> None:
    queue = queue_of(*(One("a", BULK, left=1000) for _ in range(16)))
    for _ in range(50):
        serve(queue, seconds=0.5)
    typist = One("a", TYPING, left=60)
    queue.add(typist)
    assert [serve(queue) for _ in range(50)] == [[typist]] * 50


def test_bulk_has_a_part_of_the_time_while_others_type_on_and_on() -> None:
    queue = queue_of(One("a", BULK, left=10**6), One("b", TYPING, left=10**6))
    spent = Counter(serve(queue, 0.1)[0].priority for _ in range(4000))
    assert 1 / 9 < spent[BULK] / spent[TYPING] < 1 / 6


def test_what_nobody_waits_for_comes_one_by_one_when_all_is_quiet() -> None:
    warm, ahead = [One("a", WARM) for _ in range(3)], [One("b", AHEAD) for _ in range(3)]
    bulk = One("c", BULK)
    queue = queue_of(*warm, *ahead, bulk)
    assert [serve(queue) for _ in range(7)] == [[bulk], *([one] for one in (*ahead, *warm))]


def test_in_a_full_queue_the_last_of_who_asked_for_most_has_to_go() -> None:
    greedy = [One("greedy") for _ in range(6)]
    queue = queue_of(*greedy, limit=6)
    assert queue.add(One("modest")) is greedy[-1]
    again = One("greedy")
    assert queue.add(again) is again
    assert queue.waiting == 6


EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abcdefghijkl"),
        st.sampled_from(list(Priority)),
        st.integers(1, 30),
        st.integers(0, 4),
    ),
    max_size=80,
)


@given(EVENTS, st.integers(1, 40))
def test_everybody_is_served_once_and_nobody_is_forgotten(
    events: list[tuple[str, Priority, int, int]], limit: int
) -> None:
    queue: Queue[One] = Queue(limit)
    expected, crowded_out = [], []
    for caller, priority, left, steps in events:
        one = One(caller, priority, left)
        expected.append(one)
        if gone := queue.add(one):
            crowded_out.append(gone)
        assert queue.waiting <= limit
        for _ in range(steps):
            if queue:
                line = serve(queue)
                assert 0 < len(line) <= PLACES
                assert len({one.priority for one in line}) == 1
    rounds = sum(one.left for one in queue) + 1
    while queue:
        rounds -= 1
        assert rounds, "each step brings somebody nearer to the end"
        serve(queue)
    assert not queue.waiting
    assert all((one.left == 0) != (one in crowded_out) for one in expected)


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=12),
    st.integers(1, 6),
    st.sampled_from([TYPING, BULK]),
)
def test_callers_who_want_more_than_there_is_get_the_same(
    wanted: list[int], length: int, priority: Priority
) -> None:
    """Each caller always has so many under way; whoever wants less than a share gets it all."""
    queue: Queue[One] = Queue(1000)
    steps: Counter[str] = Counter()
    rounds = 30 * length
    for _ in range(rounds):
        for number, count in enumerate(wanted):
            theirs = sum(one.caller == str(number) for one in queue)
            for _ in range(count - theirs):
                queue.add(One(str(number), priority, length))
        steps.update(one.caller for one in serve(queue))
    # Where there are more callers than places, two of them may have to take turns.
    share = PLACES // len(wanted) or 0.5
    for number, count in enumerate(wanted):
        assert steps[str(number)] >= 0.9 * min(count, share) * rounds


@settings(max_examples=15)
@given(st.integers(1, 30))
def test_a_stream_of_newcomers_starves_nobody(crowd: int) -> None:
    first = [One("patient", left=3) for _ in range(4)]
    queue = queue_of(*first)
    for number in range(12 * (crowd + PLACES)):
        while len(queue) < crowd + 4:
            queue.add(One(f"newcomer {number} {len(queue)}", left=2))
        serve(queue)
        if not any(one in queue for one in first):
            return
    raise AssertionError("somebody was never served")


# Turns by time ------------------------------------------------------------------------------------------------


def test_a_ninth_caller_has_a_place_within_one_turn_though_the_others_never_end() -> None:
    queue = queue_of(*(One(str(number), left=10**6) for number in range(PLACES)))
    for _ in range(1000):
        serve(queue)
    ninth = One("ninth", left=3)
    queue.add(ninth)
    waited = next(step for step in range(1000) if ninth in serve(queue))
    assert waited * 0.02 <= TURN + 0.04
    assert [ninth in serve(queue) for _ in range(3)] == [True, True, False]
    assert ninth not in queue


@settings(max_examples=25)
@given(
    st.integers(1, 40),
    st.floats(0.01, 0.3),
    st.sampled_from([TYPING, BULK]),
    st.lists(st.integers(1, 3), min_size=40, max_size=40),
)
@example(33, 0.234375, TYPING, [1] * 40)  # a turn was a step longer than it may be
def test_callers_whose_requests_never_end_share_the_time_and_nobody_waits_long(
    callers: int, seconds: float, priority: Priority, requests: list[int]
) -> None:
    queue = queue_of(
        *(
            One(str(number), priority, 10**6)
            for number in range(callers)
            for _ in range(requests[number] if callers <= PLACES else 1)
        )
    )
    turn = max(TURN, seconds) + seconds
    rounds = int(20 * max(1, callers / PLACES) * turn / seconds)
    last = dict.fromkeys(map(str, range(callers)), 0)
    steps: Counter[str] = Counter()
    for step in range(rounds):
        owners = {one.caller for one in serve(queue, seconds)}
        steps.update(owners)
        for caller in owners:
            waited = (step - last[caller] - 1) * seconds
            assert waited <= (callers // PLACES + 1) * turn
            last[caller] = step
    assert len(steps) == callers
    assert min(steps.values()) >= 0.8 * max(steps.values())


@given(EVENTS)
def test_nobodys_next_goes_before_the_first_of_whoever_waited_by_then(
    events: list[tuple[str, Priority, int, int]],
) -> None:
    """Whoever comes while others wait is not served before they are."""
    queue: Queue[One] = Queue(1000)
    before: dict[One, set[str]] = {}  # who waits, and who may not go first with something new
    for name, (caller, _, left, steps) in enumerate(events):
        queue.add(One(caller, TYPING, left, name))
        for _ in range(min(steps, len(queue))):
            begun = {one for one in queue if queue.begun(one)}
            line = serve(queue, 0.2)
            for waiting, ended in before.items():
                passed = [one for one in line if one.caller in ended and one not in begun]
                assert waiting in line or not passed
            before = {one: ended for one, ended in before.items() if one not in line and one in queue}
            firsts = {one.caller: one for one in reversed(list(queue))}
            for one in firsts.values():
                if not queue.begun(one):
                    before.setdefault(one, set()).update(o.caller for o in line if o not in queue)


def test_those_whose_turns_end_together_take_turns_with_the_places_that_are_left_over() -> None:
    queue = queue_of(*(One(name, left=10**6) for name in "abcde" for _ in range(3)))
    steps = Counter(one.caller for _ in range(1000) for one in serve(queue, 0.1))
    assert min(steps.values()) >= 0.9 * max(steps.values())


def test_a_turn_that_was_too_short_to_read_the_prompt_makes_the_next_one_longer() -> None:
    queue = queue_of(*(One(str(number), left=10**6) for number in range(PLACES + 1)))
    first = next(iter(queue))

    def turn(*, reading: bool) -> int:
        """Return for how many steps one of them has a place."""
        while first not in queue.line(TYPING):
            serve(queue, TURN / 4, reading=reading)
        steps = 0
        while first in queue.line(TYPING):
            serve(queue, TURN / 4, reading=reading)
            steps += 1
        return steps

    # Only their order changes as long as all have a place.
    short, *longer = (turn(reading=True) for _ in range(3))
    assert short < longer[0] < longer[1]
    assert turn(reading=False) <= short + 1


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), st.integers(0, 11), st.integers(0, 3))
def test_one_that_takes_the_place_of_another_stands_where_that_stood(
    owners: list[str], which: int, steps: int
) -> None:
    ones = [One(caller, left=100) for caller in owners]
    queue = queue_of(*ones)
    for _ in range(steps):
        serve(queue)
    older = ones[which % len(ones)]
    newer = One(older.caller, left=100)
    before, begun, waiting = list(queue), queue.begun(older), queue.waiting
    assert queue.replace(older, newer)
    assert list(queue) == [newer if one is older else one for one in before]
    assert (queue.begun(newer), queue.begun(older), queue.waiting) == (begun, False, waiting)


def test_who_types_takes_the_place_of_what_was_done_ahead_and_goes_first() -> None:
    ahead, other = One("a", AHEAD, left=100), One("b", BULK, left=100)
    queue = queue_of(ahead)
    serve(queue)
    queue.add(other)
    typing = One("a")
    assert queue.replace(ahead, typing)
    assert (queue.begun(typing), len(queue), queue.waiting) == (True, 2, 1)
    assert queue.line(queue.turns()[0]) == [typing]


def test_whoever_is_replaced_at_every_step_uses_up_a_turn_all_the_same() -> None:
    typing = One("typist", left=1000)
    others = [One(f"other {number}", left=1000) for number in range(PLACES)]
    queue = queue_of(typing, *others)
    served: Counter[str] = Counter()
    for _ in range(400):
        line = queue.line(TYPING)
        for one in line:
            queue.begin(one)
        served.update(one.caller for one in line)
        if typing in line:
            newer = One("typist", left=1000)
            assert queue.replace(typing, newer)
            typing = newer
        queue.used(TYPING, 0.1, dict.fromkeys(line, True))
    assert served["typist"] < 370  # of 400 steps, with eight places for nine


def test_who_types_goes_before_texts_of_other_programs_which_have_their_half_all_the_same() -> None:
    queue = queue_of(*(One("a", TEXT, left=10**6) for _ in range(9)))
    for _ in range(50):
        serve(queue, seconds=0.5)
    typist = One("a", TYPING, left=10**6)
    queue.add(typist)
    assert [serve(queue, 0.02) for _ in range(50)] == [[typist]] * 50
    spent = Counter(serve(queue, 0.1)[0].priority for _ in range(2000))
    assert 0.9 < spent[TEXT] / spent[TYPING] < 1.1


# What an engine elsewhere serves ----------------------------------------------------------------------------


def write(queue: Queue[One], cost: float = 0.1) -> list[One]:
    """Have all that an engine elsewhere serves write something; return them."""
    line = queue.together()
    for one in line:
        queue.begin(one)
    for one in line:
        one.left -= 1
        if not one.left:
            queue.remove(one)
        queue.used(one.priority, cost, {one: 1})
    return line


def test_elsewhere_all_are_served_at_once_and_people_before_what_nobody_waits_for() -> None:
    kinds = (WARM, AHEAD, BULK, TEXT, TYPING)
    ones = [One("a", kind) for kind in kinds]
    queue = queue_of(*ones)
    assert queue.together() == ones[::-1]
    queue.places = 3
    assert queue.together() == [ones[4], ones[3], ones[2]]


def test_elsewhere_bulk_keeps_one_place_in_eight_and_no_more_than_it_takes() -> None:
    typing = [One(str(number), left=10**6) for number in range(100)]
    queue = queue_of(*typing, limit=1000)
    queue.places = 4 * PLACES
    bulk = [One("b", BULK, left=10**6) for _ in range(6)]
    queue.add(bulk[0])
    assert Counter(one.priority for one in queue.together()) == {TYPING: 31, BULK: 1}
    for one in bulk[1:]:
        queue.add(one)
    for _ in range(100):
        assert Counter(one.priority for one in write(queue)) == {TYPING: 28, BULK: 4}
    queue.add(One("c", WARM))
    assert WARM not in {one.priority for one in queue.together()}


@given(EVENTS, st.integers(1, 30))
def test_elsewhere_everybody_is_served_once_and_no_place_is_left_empty_or_given_twice(
    events: list[tuple[str, Priority, int, int]], places: int
) -> None:
    queue: Queue[One] = Queue(1000)
    queue.places = places
    ones = []
    for name, (caller, priority, left, steps) in enumerate(events):
        ones.append(One(caller, priority, left, name))
        queue.add(ones[-1])
        for _ in range(steps):
            awaited = sum(one.priority.awaited for one in queue)
            line = write(queue)
            assert len(line) == len(set(line)) <= places
            assert sum(one.priority.awaited for one in line) == min(awaited, places)
    for _ in range(sum(one.left for one in ones)):
        write(queue)
    assert not len(queue)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=12), st.integers(1, 4))
def test_whatever_somebody_owes_they_wait_for_no_more_than_so_many_turns(
    owed: list[float], places: int
) -> None:
    queue = queue_of(*(One(str(number), left=10**9) for number in range(len(owed))), limit=100)
    queue.places = places
    last = dict.fromkeys(range(len(owed)), 0)
    for step in range(60 * len(owed)):
        for one in write(queue, TURN):
            number = int(one.caller)
            assert step - last[number] <= (MOST_OWED + 3) * len(owed)
            last[number] = step
            queue.owe(one, owed[number])
    assert min(last.values()) > 0


# Limits for each caller ---------------------------------------------------------------------------------------


def test_of_one_caller_only_so_many_are_served_at_a_time_though_there_is_room() -> None:
    queue: Queue[One] = Queue(100, running=2)
    many = [One("many") for _ in range(5)]
    for one in many:
        queue.add(one)
    assert queue.line(TYPING) == queue.together() == many[:2]
    assert sorted(len(serve(queue)) for _ in range(3)) == [1, 2, 2]


@pytest.mark.parametrize("priority", [TYPING, TEXT])
def test_what_one_asks_beyond_what_may_be_served_is_bulk(priority: Priority) -> None:
    queue: Queue[One] = Queue(100, running=2)
    many, other = [One("many", priority) for _ in range(5)], One("other", priority)
    for one in (One("many", WARM), *many, other):
        queue.add(one)
    assert [one.priority for one in (*many, other)] == [priority] * 2 + [BULK] * 3 + [priority]
    for one in many[:4]:
        queue.remove(one)
    queue.add(second := One("many", priority))
    assert second.priority is priority


def test_what_became_bulk_matters_again_as_soon_as_one_that_is_served_ends_the_oldest_first() -> None:
    queue: Queue[One] = Queue(100, running=2)
    many = [One("many", left=10**6) for _ in range(5)]
    other = One("other", BULK, left=10**6)
    for one in (*many, other):
        queue.add(one)
    queue.begin(many[2])
    assert [one.priority for one in (*many[2:], other)] == [BULK] * 4
    queue.remove(many[0])
    assert [one.priority for one in (*many[1:], other)] == [TYPING, TYPING, BULK, BULK, BULK]
    queue.remove(many[3])
    assert [one.priority for one in (many[1], many[2], many[4], other)] == [TYPING, TYPING, BULK, BULK]
    assert ([*queue][:2], queue.begun(many[2]), queue.waiting) == ([many[1], many[2]], True, 3)
    assert (len(queue), queue.turns()[0]) == (4, TYPING)


def test_of_several_that_became_bulk_only_so_many_matter_again_as_may_be_served() -> None:
    queue: Queue[One] = Queue(100, running=1)
    served, older, newer = ones = [One("a", TEXT) for _ in range(3)]
    for one in ones:
        queue.add(one)
    queue.remove(served)
    assert (older.priority, newer.priority) == (TEXT, BULK)


def test_what_takes_the_place_of_another_counts_before_anything_matters_again() -> None:
    queue: Queue[One] = Queue(100, running=1)
    older, bulk = One("a", TEXT), One("a", TEXT)
    queue.add(older)
    queue.add(bulk)
    newer = One("a")
    assert queue.replace(older, newer)
    assert (newer.priority, bulk.priority) == (TYPING, BULK)
    queue.remove(newer)
    assert bulk.priority is TEXT


@given(EVENTS, st.integers(1, 3))
def test_nobody_types_for_long_behind_their_own_that_has_ended(
    events: list[tuple[str, Priority, int, int]], running: int
) -> None:
    queue: Queue[One] = Queue(1000, running=running)

    def step() -> None:
        serve(queue)
        for one in (one for one in queue if one.priority is not one.asked_as):
            ahead = [o for o in queue if o.caller == one.caller and o.priority <= one.asked_as]
            assert len(ahead) >= running
        assert len(queue) == len(list(queue)) == queue.waiting + sum(map(queue.begun, queue))

    for caller, priority, left, steps in events:
        queue.add(One(caller, priority, left))
        for _ in range(min(steps, len(queue))):
            if len(queue):
                step()
    while len(queue):
        step()


def test_somebodys_own_texts_and_what_they_no_longer_want_do_not_make_their_typing_bulk() -> None:
    queue: Queue[One] = Queue(100, running=2, waiting=8)
    for _ in range(6):
        queue.add(One("a", TEXT))
        queue.add(One("a", BULK))
    for _ in range(2):
        queue.add(One("a", TYPING, over=True))
    queue.add(key := One("a", TYPING))
    assert key.priority is TYPING


def test_who_takes_the_place_of_ones_own_does_not_count_it() -> None:
    queue: Queue[One] = Queue(100, running=1)
    queue.add(older := One("a"))
    queue.begin(older)
    assert queue.replace(older, newer := One("a"))
    assert newer.priority is TYPING
    assert queue.begun(newer)


def test_bulk_that_takes_the_place_of_bulk_stays_where_that_stood() -> None:
    queue: Queue[One] = Queue(100, running=1)
    first, older, last = ones = [One("a"), One("a"), One("a")]
    for one in ones:
        queue.add(one)
    assert queue.replace(older, newer := One("a"))
    assert list(queue) == [first, newer, last]
    assert newer.priority is BULK


def test_without_a_limit_nothing_becomes_bulk() -> None:
    many = [One("many") for _ in range(20)]
    queue_of(*many)
    assert {one.priority for one in many} == {TYPING}


def test_all_bulk_together_gets_no_more_than_one_of_many_who_type() -> None:
    queue = queue_of(*(One(f"typist {n}", left=10_000) for n in range(28)), One("many", BULK, left=10_000))
    steps = Counter(one.priority for _ in range(3000) for one in serve(queue)[:1])
    assert 0.02 < steps[BULK] / steps.total() < 1 / 28


@pytest.mark.parametrize("priority", [TYPING, TEXT])
def test_who_asks_for_many_has_no_more_served_than_who_asks_for_few(priority: Priority) -> None:
    queue: Queue[One] = Queue(100, running=2)
    many, few = [One("many", priority) for _ in range(5)], [One("few") for _ in range(2)]
    for one in (*many, few[0]):
        queue.add(one)
    assert Counter(queue.together()) == Counter([many[0], few[0]])
    queue.add(few[1])
    assert Counter(queue.together()) == Counter([*many[:2], *few])


def test_who_has_enough_that_waits_crowds_out_their_own_and_first_what_nobody_waits_for() -> None:
    queue: Queue[One] = Queue(100, waiting=2)
    warm, first, other = One("a", WARM), One("a"), One("b")
    assert [queue.add(one) for one in (warm, first, other)] == [None] * 3
    assert queue.is_enough(queue.waiting_of("a"))
    assert not queue.is_enough(queue.waiting_of("b"))
    second = One("a")
    assert queue.add(second) is warm
    third = One("a")
    assert queue.add(third) is third
    assert list(queue) == [first, other, second]
    serve(queue)
    assert not queue.is_enough(queue.waiting_of("a"))


@given(EVENTS, st.integers(1, 3), st.integers(1, 30))
def test_elsewhere_nobody_has_more_under_way_than_the_limit_and_others_get_all_places(
    events: list[tuple[str, Priority, int, int]], running: int, places: int
) -> None:
    queue: Queue[One] = Queue(1000, running=running)
    queue.places = places
    for caller, priority, left, steps in events:
        queue.add(One(caller, priority, left))
        for _ in range(steps):
            allowed = Counter(one.caller for one in queue if one.priority.awaited)
            served = [one for one in write(queue) if one.priority.awaited]
            most = min(running, *allowed.values()) if allowed else 0
            assert max(Counter(one.caller for one in served).values(), default=0) <= most
            assert len(served) == min(places, most * len(allowed))


@given(EVENTS, st.integers(0, 3), st.integers(0, 3))
def test_nobody_has_more_under_way_or_waiting_than_the_limits_say(
    events: list[tuple[str, Priority, int, int]], running: int, waiting: int
) -> None:
    queue: Queue[One] = Queue(1000, running=running, waiting=waiting)
    for caller, priority, left, steps in events:
        queue.add(One(caller, priority, left))
        waits = Counter(one.caller for one in queue if not queue.begun(one))
        assert not waiting or max(waits.values(), default=0) <= waiting
        for _ in range(steps if queue else 0):
            if not len(queue):
                break
            served = Counter(one.caller for one in serve(queue))
            assert not running or max(served.values()) <= running
