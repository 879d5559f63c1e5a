from __future__ import annotations

from jupyter_turbopilot.evaluate import memory_gain
from jupyter_turbopilot.evaluate.memory_gain import MemoryGain, measure, threshold_moved
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


def test_it_is_compared_where_it_is_as_often_right(monkeypatch: object, appended: list[Trace]) -> None:
    threshold = fit_for(DEFAULT).thresholds["balanced"]
    seen: list[float] = []

    def typing(*_: object) -> TypingResult:
        now = fit_for(DEFAULT).thresholds["balanced"]
        seen.append(round(now - threshold, 3))
        if len(seen) == 1:
            return typed(70, 100, 20)
        # With memory each step down costs precision and saves more.
        return typed(80 + round(200 * (now - threshold)), 100, 30 - round(200 * (now - threshold)))

    monkeypatch.setattr(memory_gain, "by_keystrokes", typing)  # type: ignore[attr-defined]
    desk = Desk(ScriptedEngine(""))
    desk.worker.stop()
    local = AtDesk(desk)
    gain = measure(local, appended, "balanced", lambda _: Remembering(), lambda _: lambda _: None)  # type: ignore[arg-type]
    assert seen == [0.0, 0.0, -0.05, -0.1]
    assert gain.moved == -0.05
    assert gain.equal.total.precision == 0.7
    assert fit_for(DEFAULT).thresholds["balanced"] == threshold
    assert "saves 2.00 times as much" in gain.words


def test_where_it_is_less_often_right_the_threshold_is_raised() -> None:
    gain = MemoryGain(typed(70, 100, 20), typed(60, 100, 30), typed(71, 100, 24), 0.05)
    assert "threshold moved by +0.05" in gain.words
    assert "1.20 times" in gain.words


def test_a_threshold_that_was_moved_is_put_back() -> None:
    before = dict(fit_for(DEFAULT).thresholds)
    with threshold_moved(DEFAULT, "quiet", 9.0):
        assert fit_for(DEFAULT).thresholds["quiet"] < 1.0
    assert fit_for(DEFAULT).thresholds == before
