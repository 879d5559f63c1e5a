"""Jobs for the worker and its step loop, and an engine with one slot."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.base import Engine
from jupyter_turbopilot.engine.job import Generation, Job
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling, Token

from ..scripted_engine import ScriptedEngine, ScriptedRun

if TYPE_CHECKING:
    from jupyter_turbopilot.protocol.errors import TurbopilotError

Work = Generator[EngineRequest, list[Token], None]
Begin = Callable[[Engine, Job], Work]


class FunctionJob(Job):
    """A job whose work is a function."""

    def __init__(self, work: Begin, done: Callable[[TurbopilotError | None], None], **more: Any) -> None:
        super().__init__(**more)
        self.done = done
        self.work = work

    def end(self, error: TurbopilotError | None) -> None:
        self.done(error)


class FunctionGeneration(Generation):
    """A generation that begins each job's work."""

    served: FunctionJob

    def generate(self, engine: Engine) -> Work:
        yield from self.served.work(engine, self.served)


class Outcome:
    """A callback for the end of a job, which can be awaited."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.error: TurbopilotError | None = None

    def __call__(self, error: TurbopilotError | None) -> None:
        self.error = error
        self.event.set()

    def wait(self) -> TurbopilotError | None:
        assert self.event.wait(30)
        return self.error


def generation(
    work: Begin, done: Callable[[TurbopilotError | None], None], **more: Any
) -> FunctionGeneration:
    return FunctionGeneration(FunctionJob(work, done, **more))


def until_cancelled(_: Engine, __: Job) -> Work:
    engine_request = EngineRequest([1], Sampling(max_tokens=5000))
    while (yield engine_request):
        pass


def nothing_but_one(*_: object) -> Work:
    engine_request = EngineRequest([2], Sampling(max_tokens=1))
    while (yield engine_request):
        pass


class SmallEngine(ScriptedEngine):
    """An engine with one slot."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.seated: list[ScriptedRun] = []

    def start(self, engine_request: EngineRequest) -> ScriptedRun | None:  # type: ignore[override]
        if self.seated:
            return None
        self.seated.append(super().start(engine_request))
        return self.seated[0]

    def suspend(self, run: ScriptedRun) -> None:
        self.seated.remove(run)

    def resume(self, run: ScriptedRun) -> bool:
        if self.seated:
            return False
        self.seated.append(run)
        return True

    def release(self, run: ScriptedRun) -> None:
        super().release(run)
        if run in self.seated:
            self.seated.remove(run)
