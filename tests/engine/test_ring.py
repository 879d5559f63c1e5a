from __future__ import annotations

from dataclasses import dataclass

from jupyter_turbopilot.engine.ring import HALF_LIFE, TURN, Ring


@dataclass(eq=False)
class One:
    """A request."""

    caller: str
    client: str = ""


def ring_of(*callers: str) -> tuple[Ring[One], list[One]]:
    ring, ones = Ring[One](), [One(caller) for caller in callers]
    for one in ones:
        ring.add(one)
    return ring, ones


def order(ring: Ring[One]) -> str:
    return "".join(one.caller for one in ring)


def test_everybodys_first_comes_before_anybodys_second() -> None:
    ring, _ = ring_of(*"aaabbc")
    assert order(ring) == "abcaba"
    assert "".join(one.caller for one in ring.by_turns(2)) == "abcab"


def test_the_step_that_writes_first_counts_and_what_was_read_before_it_is_owed() -> None:
    ring, (first, *_) = ring_of(*"ab")
    ring.serve(first)
    ring.use(TURN - 0.1, {first: False})
    ring.use(0.3, {first: True})
    assert order(ring) == "ab"
    ring.use(TURN - 0.3, {first: True})
    assert order(ring) == "ba"
    assert ring.callers["a"].owed == TURN - 0.1


def test_who_owes_a_turn_leaves_one_out() -> None:
    ring, (first, second) = ring_of(*"ab")
    ring.serve(first)
    ring.owe("a", 1.5 * TURN)
    ring.use(TURN, {first: True})
    ring.add(One("c"))
    for waiting in (second, *ring.callers["c"].requests):
        ring.serve(waiting)
        ring.use(TURN, {waiting: True})
    assert order(ring) == "bac"
    assert ring.callers["a"].owed == 0.5 * TURN


def test_whoever_has_nothing_left_to_ask_owes_nothing_any_more() -> None:
    ring, (only,) = ring_of("a")
    ring.owe("a", 5.0)
    ring.remove(only)
    ring.owe("a", 5.0)
    ring.add(One("a"))
    assert ring.callers["a"].owed == 0.0


def test_ring_puts_an_editor_before_those_that_used_more_time() -> None:
    ring = Ring[One]()
    heavy = [One("a", client) for client in ("first", "second", "third")]
    for one in heavy:
        ring.add(one)
    for _ in range(1000):  # of which each step is short
        ring.use(3 * TURN / 1000, dict.fromkeys(heavy[:2], 1.0))
    typing = One("a", "typing")
    ring.add(typing)
    assert list(ring) == [heavy[0], typing, *heavy[1:]]  # the first one's turn is under way
    ring.add(later := One("a", "first"))
    assert list(ring) == [heavy[0], typing, *heavy[1:], later]


def test_ring_keeps_the_order_of_editors_that_used_little_time() -> None:
    ring = Ring[One]()
    ones = [One("a", str(number)) for number in range(20)]
    for one in ones:
        ring.add(one)
        ring.use(TURN / 20, {one: 1.0})
    assert list(ring) == ones


def test_ring_counts_recent_use_more_than_earlier_use() -> None:
    ring = Ring[One]()
    first, early, late = One("a"), One("a", "early"), One("a", "late")
    for one in (first, early, late):
        ring.add(one)
    ring.use(2.0, {early: 1.0})
    ring.use(2 * HALF_LIFE, {late: 1.0})
    for one in (early, late):
        ring.remove(one)
    for one in (late, early):
        ring.add(one)
    assert list(ring) == [first, early, late]
