from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.job import YIELDED, Job
from jupyter_turbopilot.engine.queue import Priority
from jupyter_turbopilot.engine.step_loop import StepLoop
from jupyter_turbopilot.errors import EngineError, TextFailedError

from ..scripted_engine import ScriptedEngine, ScriptedRun
from .jobs import SmallEngine, Told, nothing_but_one, until_cancelled

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.cancel import Cancel


def loop_with(engine: Engine) -> StepLoop:
    """Return a loop that writes with an engine, a step at a time."""
    loop = StepLoop(lambda job, error: job.tell(error))
    loop.engine = engine
    return loop


def test_one_that_may_have_failed_a_batch_and_finds_no_room_keeps_nobody_waiting() -> None:
    loop = loop_with(SmallEngine("word " * 50))
    first, suspect = (Job(until_cancelled, Told()) for _ in range(2))
    assert loop.step([first, suspect], []) == {first: True}
    loop._active[suspect].suspect = True
    assert loop.step([first, suspect], []) == {first: True}


def test_what_gives_up_its_room_for_good_does_not_cut_the_step_short_that_it_makes_room_for() -> None:
    loop = loop_with(SmallEngine("word " * 50))
    warm, typing = Job(until_cancelled, Told(), priority=Priority.WARM), Job(until_cancelled, Told())
    assert loop.step([warm], []) == {warm: True}
    assert loop.step([typing], [warm]) == {typing: True}
    assert warm.cancel.reason == YIELDED


def test_texts_that_all_ended_in_the_batch_that_failed_fail_nobody() -> None:
    class Late(ScriptedEngine):
        def step(self, runs: Sequence[ScriptedRun], attention: Cancel) -> None:
            super().step(runs, attention)
            if any(run.done for run in runs):
                raise EngineError("It comes too late.")

    told = [Told(), Told()]
    jobs = [Job(nothing_but_one, one) for one in told]
    loop = loop_with(Late("word"))
    for _ in range(2):
        loop.step(jobs, [])
    assert [one.wait() for one in told] == [None, None]


def test_a_text_that_fails_alone_ends_alone_and_the_engine_is_not_asked_whether_it_works() -> None:
    class Refusing(ScriptedEngine):
        def step(self, runs: Sequence[ScriptedRun], attention: Cancel) -> None:
            super().step(runs, attention)
            if len(runs) == 2:
                raise TextFailedError(EngineError("It was refused."), runs[0])

    told = [Told(), Told()]
    jobs = [Job(nothing_but_one, one) for one in told]
    engine = Refusing("word")
    loop = loop_with(engine)
    loop.step(jobs, [])
    while jobs[1] in loop._active:
        loop.step(jobs[1:], [])
    assert isinstance(told[0].wait(), EngineError)
    assert told[1].wait() is None
    assert (len(engine.asks), loop.broken) == (2, False)
