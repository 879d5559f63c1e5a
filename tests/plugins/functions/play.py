"""A multi-function generation without a model: a function answers the questions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyter_turbopilot.plugins.functions.function_generator import generate_functions
from jupyter_turbopilot.plugins.functions.model_requests import ModelQuestion, ModelResponse
from jupyter_turbopilot.plugins.functions.request import Event, FunctionRequest

Answer = Callable[[ModelQuestion], ModelResponse | str]


def play(source: str, answer: Answer, clock: Callable[[], float] = lambda: 0.0, **more: Any) -> list[Event]:
    """Return all events of a request; the last one is `done`."""
    growth = generate_functions(FunctionRequest(source=source, **more), clock=clock)
    events: list[Event] = []
    step: Event | ModelQuestion = next(growth)
    while True:
        try:
            if isinstance(step, Event):
                events.append(step)
                step = next(growth)
            else:
                message = answer(step)
                step = growth.send(
                    message if isinstance(message, ModelResponse) else ModelResponse(message, tokens=10)
                )
        except StopIteration:
            return events


def bodies(**texts: str) -> Answer:
    """Answer with the body of each function; a function without one gets `return None`."""
    return lambda ask: texts.get(ask.name, "return None")
