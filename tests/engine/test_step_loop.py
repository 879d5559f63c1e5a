from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.job import SUPERSEDED, YIELDED, Priority
from jupyter_turbopilot.engine.step_loop import StepLoop
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling
from jupyter_turbopilot.protocol.errors import EngineError, TextFailedError

from ..scripted_engine import ScriptedEngine, ScriptedRun
from .jobs import (
    FunctionGeneration,
    FunctionJob,
    Outcome,
    SmallEngine,
    Work,
    generation,
    nothing_but_one,
    until_cancelled,
)
from .stepping.test_engine import Arithmetic

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.stepping.run import BatchToken


def loop_with(engine: Engine) -> StepLoop:
    """Return a step loop with an engine."""
    loop = StepLoop(lambda _, job, error: job.finish(error))
    loop.engine = engine
    return loop


def test_step_loop_skips_a_failed_job_without_a_slot() -> None:
    loop = loop_with(SmallEngine("word " * 50))
    first, suspect = (generation(until_cancelled, Outcome()) for _ in range(2))
    assert loop.step([first, suspect], []) == {first: True}
    suspect.left_at_failure = 1
    assert loop.step([first, suspect], []) == {first: True}


def test_step_loop_yielding_job_does_not_interrupt_the_step() -> None:
    loop = loop_with(SmallEngine("word " * 50))
    warm, typing = (
        generation(until_cancelled, Outcome(), priority=Priority.WARMUP),
        generation(until_cancelled, Outcome()),
    )
    assert loop.step([warm], []) == {warm: True}
    assert loop.step([typing], [warm]) == {typing: True}
    assert warm.job.cancel.reason == YIELDED


def test_step_loop_finds_a_prompt_that_fails_in_a_later_chunk() -> None:
    class Poisoned(Arithmetic):
        failures = 0

        def evaluate(self, rows: Sequence[BatchToken], interrupt: Cancel | None) -> bool:
            if any((row.token, row.position) == (9, 180) for row in rows):
                self.failures += 1
                raise IndexError
            return super().evaluate(rows, interrupt)

    def writing(prompt: list[int], count: int) -> Callable[..., Work]:
        def work(*_: object) -> Work:
            engine_request = EngineRequest(prompt, Sampling(max_tokens=count, ignore_end=True))
            while (yield engine_request):
                pass

        return work

    engine = Poisoned(capacity=4000)
    engine.context_size, engine.drafts, engine.ends = 1000, False, set()
    loop, outcome, guilty = loop_with(engine), Outcome(), Outcome()
    jobs = [generation(writing([n, 2, 3] * 30, 500), outcome) for n in range(2)]
    jobs.append(generation(writing([4] * 180 + [9] + [4] * 100, 5), guilty))
    steps = 0
    while not guilty.event.is_set():
        loop.step(jobs, [])
        steps += 1
        assert steps < 200  # between any two chunks, the texts have their share of the time
    assert isinstance(guilty.wait(), EngineError)
    assert engine.failures <= 4
    assert not outcome.event.is_set()


def test_step_loop_ends_complete_texts_of_a_failed_batch_normally() -> None:
    class Late(ScriptedEngine):
        def step(self, runs: Sequence[ScriptedRun], interrupt: Cancel) -> None:
            super().step(runs, interrupt)
            if any(run.done for run in runs):
                raise EngineError("It comes too late.")

    outcome = [Outcome(), Outcome()]
    jobs = [generation(nothing_but_one, one) for one in outcome]
    loop = loop_with(Late("word"))
    for _ in range(2):
        loop.step(jobs, [])
    assert [one.wait() for one in outcome] == [None, None]


def test_step_loop_does_not_test_the_engine_after_a_text_failed() -> None:
    class Refusing(ScriptedEngine):
        def step(self, runs: Sequence[ScriptedRun], interrupt: Cancel) -> None:
            super().step(runs, interrupt)
            if len(runs) == 2:
                raise TextFailedError(EngineError("It was refused."), runs[0])

    outcome = [Outcome(), Outcome()]
    jobs = [generation(nothing_but_one, one) for one in outcome]
    engine = Refusing("word")
    loop = loop_with(engine)
    loop.step(jobs, [])
    while jobs[1] in loop._active:
        loop.step(jobs[1:], [])
    assert isinstance(outcome[0].wait(), EngineError)
    assert outcome[1].wait() is None
    assert (len(engine.asks), loop.broken) == (2, False)


def test_step_loop_continues_a_run_whose_job_is_superseded_meanwhile() -> None:
    class Raced(FunctionGeneration):
        @property
        def is_cancelled(self) -> bool:
            older = self.job
            self.seat(newer)  # as another thread may
            older.cancel.set(SUPERSEDED)
            return older.cancel.is_set()

        def generate(self, engine: Engine) -> Work:
            engine_request = self.engine_request or EngineRequest([1], Sampling(max_tokens=50))
            while (yield engine_request):
                pass

    engine, outcome = ScriptedEngine("word " * 50), Outcome()
    newer = FunctionJob(until_cancelled, outcome)
    loop, raced = loop_with(engine), Raced(FunctionJob(until_cancelled, Outcome()))
    loop.step([raced], [])
    loop.begin_round()
    assert (raced.served, engine.released) == (newer, 0)
    assert not outcome.event.is_set()
