from __future__ import annotations

import ast
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from jupyter_turbopilot.engine.job import STOPPED, Job
from jupyter_turbopilot.plugins.functions.event import Event
from jupyter_turbopilot.plugins.functions.function_generator import generate_functions
from jupyter_turbopilot.plugins.functions.request import FunctionRequest
from jupyter_turbopilot.plugins.functions.run_generation import follow
from jupyter_turbopilot.plugins.functions.terminal import events_in_process
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.protocol.request import Completion
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.suggestion.calls import missing_names
from jupyter_turbopilot.terminal.in_process import InProcess

from ...completer.desk import Desk
from ...scripted_engine import ScriptedEngine

BODIES = {
    "def total(rows):": "x = 1\n    y = 2\n    return add(rows)",
    "def add(rows):": "return sum(rows)\n\nprint(add([1]))",
}


def message(prompt: str) -> str:
    head = prompt.partition("<|fim_suffix|>")[0].rstrip().replace(">", "\n").rpartition("\n")[2]
    return BODIES.get(head, "pass")


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk(ScriptedEngine(message))
    yield desk
    desk.worker.stop()


def replies_of(desk: Desk, jobs: list[Job]) -> Callable[[Completion], Generator[Reply]]:
    def replies(completion: Completion) -> Generator[Reply]:
        job, answer = desk.begin(completion)
        jobs.append(job)
        try:
            for reply in answer:
                if reply.error:
                    raise reply.error
                yield reply
        finally:
            job.cancel.set(STOPPED)

    return replies


def test_follow_stops_after_the_deadline(desk: Desk) -> None:
    desk.engine.pause = 0.01
    desk.engine.answer = "x = 1\n    " * 500
    (*_, done) = follow(
        generate_functions(FunctionRequest(source="def total(rows):", seconds=0.2)), replies_of(desk, [])
    )
    assert desk.engine.asks[0].usage.predicted_tokens < 500
    assert "x = 1" in done.source


def play(local: InProcess, source: str, **more: object) -> list[Event]:
    return [*events_in_process(local, FunctionRequest(source=source, **more))]  # type: ignore[arg-type]


def test_follow_with_a_tiny_model_returns_source_that_parses(tiny_model: Path) -> None:
    local = InProcess(Turbopilot(model=str(tiny_model), load_test=False))
    try:
        for source in ("def f(x):\n    '''Do it.'''", "Do it."):
            done = play(local, source, max_tokens=12)[-1]
            ast.parse(done.source)
            assert missing_names(done.source, set()) == done.undefined
    finally:
        local.close()


def test_follow_with_the_default_model_generates_a_function_and_its_callee(default_model: Path) -> None:
    local = InProcess(Turbopilot(model=str(default_model), load_test=False))
    stub = 'def sum_of_primes(n):\n    """Return the sum of the primes below n. Use is_prime."""'
    try:
        events = play(local, stub)
    finally:
        local.close()
    assert ("found", "is_prime") in [(event.event, event.name) for event in events]
    source = events[-1].source
    assert source.index("def is_prime(") < source.index("def sum_of_primes(")
    assert events[-1].undefined == ()
