from __future__ import annotations

from itertools import count

import pytest

from jupyter_turbopilot.plugins.functions.function_generator import NO_TIME
from jupyter_turbopilot.plugins.functions.model_requests import (
    LONGEST,
    TRIES,
    ModelQuestion,
    ModelResponse,
)

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
