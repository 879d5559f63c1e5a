from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.evaluate import memory_gain
from jupyter_turbopilot.evaluate.memory_gain import MemoryGain, measure, threshold_moved
from jupyter_turbopilot.evaluate.scoring import Tally
from jupyter_turbopilot.evaluate.traces import Trace
from jupyter_turbopilot.evaluate.typist import TypingResult, by_keystrokes
from jupyter_turbopilot.suggestion.fit import DEFAULT, fit_for
from tests.completer.desk import Desk, request
from tests.evaluate.conftest import CODE
from tests.memory.remembering import Remembering
from tests.scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    import pytest


def typed(right: int, shown: int, saved: int) -> TypingResult:
    return TypingResult({"a": Tally(typed=100, keys=100, shown=shown, right=right, saved=saved)}, ms=[10.0])


class AtDesk:
    """Stands in for what completes in this process."""

    def __init__(self, desk: Desk) -> None:
        self.pilot = desk
        self.last = lambda request, _: desk.ask(request)[-1]


def test_what_memory_shows_is_counted_apart(appended: list[Trace]) -> None:
    desk = Desk(ScriptedEngine(""))
    memory = Remembering.of(*CODE.splitlines(), documents=20)
    result = by_keystrokes(AtDesk(desk), appended, lambda _: None, lambda _: memory)  # type: ignore[arg-type]
    desk.worker.stop()
    assert result.recalled.shown > 0
    assert result.recalled.precision == 1.0
    assert result.recalled.saved == result.total.saved > 0
    assert len(result.recalled_ms) >= result.recalled.shown
    assert all(ms > 0 for ms in result.recalled_ms)


def test_both_are_compared_where_they_are_precise_enough_and_save_most(
    monkeypatch: pytest.MonkeyPatch, appended: list[Trace]
) -> None:
    threshold = fit_for(DEFAULT).thresholds["balanced"]
    seen: list[tuple[str, float]] = []

    def typing(*given: object) -> TypingResult:
        by = round(fit_for(DEFAULT).thresholds["balanced"] - threshold, 3)
        way = "with" if given[-1] is remembering else "without"
        seen.append((way, by))
        # Each step down costs precision and saves more.
        if way == "without":
            return typed(70 + round(200 * by), 100, 20 - round(100 * by))
        return typed(80 + round(200 * by), 100, 30 - round(200 * by))

    def remembering(_: str) -> Remembering:
        return Remembering()

    monkeypatch.setattr(memory_gain, "by_keystrokes", typing)
    monkeypatch.setattr(memory_gain, "in_turns", lambda *_: (typed(70, 100, 20), typed(80, 100, 30)))
    desk = Desk(ScriptedEngine("1"), eagerness="always")
    local = AtDesk(desk)
    told: list[tuple[str, bool]] = []
    gain = measure(
        local,  # type: ignore[arg-type]
        appended,
        "balanced",
        remembering,
        lambda _: lambda _: None,
        lambda way, _, words: told.append((way, bool(words))),
    )
    desk.worker.stop()
    assert [by for way, by in seen if way == "with"] == [-0.05, -0.1]
    assert [by for way, by in seen if way == "without"] == [-0.05, 0.05]
    assert [words for _, words in told] == [False, *[True] * (len(seen) + 1)]
    assert (gain.moved(gain.without), gain.moved(gain.with_it)) == (0.0, -0.05)
    assert fit_for(DEFAULT).thresholds["balanced"] == threshold
    assert "saves 2.00 times as much" in gain.words


def test_each_trace_is_typed_in_both_ways_before_the_next_and_either_is_first_in_turn(
    monkeypatch: pytest.MonkeyPatch, appended: list[Trace]
) -> None:
    desk = Desk(ScriptedEngine("1"), eagerness="always")
    memory = Remembering()
    order: list[tuple[str, bool]] = []

    def typing(_: object, trace: Trace, result: TypingResult, remembered: object) -> None:
        assert desk.completer.results.size == 0
        desk.ask(request("x = "))
        order.append((trace.name, remembered is memory))
        result.ms.append(1.0)

    monkeypatch.setattr(memory_gain, "with_memory", typing)
    traces = [appended[0], appended[0], appended[0]]
    both = memory_gain.in_turns(AtDesk(desk), traces, lambda _: memory, lambda _: None)  # type: ignore[arg-type]
    desk.worker.stop()
    assert [with_it for _, with_it in order] == [False, True, True, False, False, True]
    assert [len(result.ms) for result in both] == [3, 3]


def test_keys_are_compared_that_were_asked_for_in_both_ways() -> None:
    without, with_it = typed(70, 100, 20), typed(70, 100, 40)
    without.key_ms = {("a", 1, 0): 10.0, ("a", 1, 4): 30.0, ("a", 1, 8): 500.0}
    with_it.key_ms = {("a", 1, 0): 15.0, ("a", 1, 4): 35.0}
    without.ms, with_it.ms = [*without.key_ms.values()], [*with_it.key_ms.values()]
    words = MemoryGain({0.0: without}, {0.0: with_it}).words
    assert "took 25 ms on average with memory and 20 ms without (1.250 times)" in words
    assert "all keys 0 and 1 seconds" in words


def test_where_it_is_less_often_right_the_threshold_is_raised() -> None:
    gain = MemoryGain({0.0: typed(70, 100, 20)}, {0.0: typed(60, 100, 30), 0.05: typed(71, 100, 24)})
    assert gain.moved(gain.with_it) == 0.05
    assert "At a precision of 0.700 or above" in gain.words
    assert "1.20 times" in gain.words


def test_where_no_threshold_is_precise_enough_that_is_said() -> None:
    gain = MemoryGain({0.0: typed(70, 100, 20)}, {0.0: typed(60, 100, 30), 0.05: typed(65, 100, 24)})
    assert gain.words.startswith("No threshold with memory is as precise as 0.700")


def test_a_threshold_that_was_moved_is_put_back() -> None:
    before = dict(fit_for(DEFAULT).thresholds)
    with threshold_moved(DEFAULT, "quiet", 9.0):
        assert fit_for(DEFAULT).thresholds["quiet"] < 1.0
    assert fit_for(DEFAULT).thresholds == before
