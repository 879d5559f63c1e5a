"""A multi-function generation without a model: a function answers the questions."""

from collections.abc import Callable
from typing import Any

from jupyter_turbopilot.analysis.kernel_context import NONE, KernelContext
from jupyter_turbopilot.plugins.functions.function_generator import ModelQuestion, generate_functions
from jupyter_turbopilot.plugins.functions.request import Event, FunctionRequest
from jupyter_turbopilot.protocol.reply import Item, Reply

Answer = Callable[[ModelQuestion], Reply | str]


def reply(text: str, finish_reason: str = "stop", tokens: int = 10) -> Reply:
    item = Item(text, 1.0, finish_reason, tokens=(None,) * tokens)  # type: ignore[arg-type]
    return Reply("1", items=(item,), done=True)


def play(source: str, answer: Answer, kernel_context: KernelContext = NONE, **more: Any) -> list[Event]:
    """Return all events of a request; the last one is `done`."""
    events: list[Event] = []
    for step in generate_functions(FunctionRequest(source=source, **more), kernel_context):
        if isinstance(step, Event):
            events.append(step)
        else:
            given = answer(step)
            step.take(given if isinstance(given, Reply) else reply(given))
    return events


def bodies(**texts: str) -> Answer:
    """Answer with the body of each function; a function without one gets `return None`."""
    return lambda ask: texts.get(ask.name, "return None")
