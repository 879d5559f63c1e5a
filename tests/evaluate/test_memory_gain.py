from __future__ import annotations

from jupyter_turbopilot.evaluate.memory_gain import MemoryGain, threshold_moved
from jupyter_turbopilot.evaluate.scoring import Tally
from jupyter_turbopilot.evaluate.traces import Trace
from jupyter_turbopilot.evaluate.typist import TypingResult, by_keystrokes
from jupyter_turbopilot.suggestion.fit import DEFAULT, fit_for
from tests.completer.desk import Desk
from tests.evaluate.conftest import CODE
from tests.memory.remembering import Remembering
from tests.scripted_engine import ScriptedEngine


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
