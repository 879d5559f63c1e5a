from __future__ import annotations

import ast
from collections.abc import Callable, Generator, Iterator
from itertools import count
from pathlib import Path

import pytest

from jupyter_turbopilot.engine.job import STOPPED, Job
from jupyter_turbopilot.plugins.functions.function_generator import NO_TIME, generate_functions
from jupyter_turbopilot.plugins.functions.model_requests import (
    LONGEST,
    TRIES,
    ModelQuestion,
    ModelResponse,
    follow,
)
from jupyter_turbopilot.plugins.functions.request import Event, FunctionRequest
from jupyter_turbopilot.plugins.functions.terminal import events_in_process
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.protocol.request import Completion
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.suggestion.calls import missing_names
from jupyter_turbopilot.terminal.in_process import InProcess

from ...completer.desk import Desk
from ...scripted_engine import ScriptedEngine
from .play import bodies, play


@pytest.mark.parametrize("text", ["", "class", " def():", " class(x):", " 1(x):", " while True:", "(x):"])
def test_head_retries_and_then_uses_a_default_name(text: str) -> None:
    heads = iter([text] * 2 + [" fine(x):"])
    assert (
        "def fine(x):"
        in play("Do it.", lambda ask: "pass\n    return x" if ask.name else next(heads))[-1].source
    )
    assert (
        "def generated(*args, **kwargs):"
        in play("Do it.", lambda ask: "return 1" if ask.name else text)[-1].source
    )


def test_function_retries_with_another_seed() -> None:
    asked: list[ModelQuestion] = []

    def answer(ask: ModelQuestion) -> str:
        asked.append(ask)
        return "return (" if len(asked) < TRIES else "return 1"

    events = play("def f(x):", answer)
    assert events[-1].source == "def f(x):\n    return 1\n"
    assert [ask.completion.seed for ask in asked] == [0, 1, 2]
    assert asked[0].completion.temperature == 0.0 < asked[1].completion.temperature


def test_function_continues_a_truncated_body() -> None:
    parts = iter(
        [
            ModelResponse("a = 1\n    b = 2", whole=False, tokens=5),
            ModelResponse("    return a + b", tokens=5),
        ]
    )
    asked: list[ModelQuestion] = []

    def answer(ask: ModelQuestion) -> ModelResponse:
        asked.append(ask)
        return next(parts)

    assert play("def f():", answer)[-1].source == "def f():\n    a = 1\n    b = 2\n    return a + b\n"
    assert asked[1].completion.prefix == "def f():\n    a = 1\n    b = 2\n"


def test_function_retries_a_late_answer() -> None:
    late = ModelResponse(whole=False, late=True)
    answers = iter([late] * 2 * TRIES + [ModelResponse("return 1", tokens=3)])
    assert play("def f(x):", lambda _: next(answers))[-1].source == "def f(x):\n    return 1\n"
    seconds = count(0)
    events = play("def f(x):", lambda _: late, clock=lambda: float(next(seconds)), seconds=30.0)
    assert [event.message for event in events if event.event == "given_up"] == [NO_TIME]


def test_function_limits_tokens_over_all_attempts() -> None:
    events = play(
        "def f(x):", lambda _: ModelResponse("return (\n", whole=False, tokens=192), max_tokens=2048
    )
    assert events[-1].tokens <= LONGEST + 192


def test_continuation_normalizes_carriage_returns() -> None:
    events = play("def f(x):", bodies(f="y = g(x)\r    return y\rdef print(): pass\rimport os"))
    assert "\r" not in events[-1].source
    assert events[-1].source.endswith("def f(x):\n    y = g(x)\n    return y\n")


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


def play_with(local: InProcess, source: str, **more: object) -> list[Event]:
    return [*events_in_process(local, FunctionRequest(source=source, **more))]  # type: ignore[arg-type]


def test_follow_with_a_tiny_model_returns_source_that_parses(tiny_model: Path) -> None:
    local = InProcess(Turbopilot(model=str(tiny_model)))
    try:
        for source in ("def f(x):\n    '''Do it.'''", "Do it."):
            done = play_with(local, source, max_tokens=12)[-1]
            ast.parse(done.source)
            assert missing_names(done.source, set()) == done.undefined
    finally:
        local.close()


def test_follow_with_the_default_model_generates_a_function_and_its_callee(default_model: Path) -> None:
    local = InProcess(Turbopilot(model=str(default_model)))
    stub = 'def sum_of_primes(n):\n    """Return the sum of the primes below n. Use is_prime."""'
    try:
        events = play_with(local, stub)
    finally:
        local.close()
    assert ("found", "is_prime") in [(event.event, event.name) for event in events]
    source = events[-1].source
    assert source.index("def is_prime(") < source.index("def sum_of_primes(")
    assert events[-1].undefined == ()
