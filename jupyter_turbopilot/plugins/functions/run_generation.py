"""Runs a generation: sends its questions to the model and yields its events."""

from __future__ import annotations

import time
from contextlib import aclosing, closing
from typing import TYPE_CHECKING

from jupyter_turbopilot.plugins.functions.event import Event
from jupyter_turbopilot.plugins.functions.model_requests import ModelQuestion, ModelResponse, continuation_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from jupyter_turbopilot.plugins.functions.function_generator import GenerationSteps
    from jupyter_turbopilot.protocol.reply import Reply
    from jupyter_turbopilot.protocol.request import Completion


def follow(steps: GenerationSteps, replies: Callable[[Completion], Generator[Reply]]) -> Generator[Event]:
    """Yield the events; `replies` answers a completion. Closing the generator cancels the current request."""
    written = None
    while step := _next(steps, written):
        written = None
        if isinstance(step, Event):
            yield step
        else:
            answer_so_far = _AnswerSoFar(step)
            with closing(replies(step.completion)) as answer:
                for reply in answer:
                    if event := answer_so_far.take(reply):
                        yield event
                    if answer_so_far.is_late:
                        break
            written = answer_so_far.written


async def follow_async(
    steps: GenerationSteps,
    replies: Callable[[Completion], AsyncGenerator[Reply]],
    run: Callable[..., Awaitable[Event | ModelQuestion | None]],
) -> AsyncGenerator[Event]:
    """Yield the events on an event loop; `run` calls a function in a thread, as parsing takes time."""
    written = None
    while step := await run(_next, steps, written):
        written = None
        if isinstance(step, Event):
            yield step
        else:
            answer_so_far = _AnswerSoFar(step)
            async with aclosing(replies(step.completion)) as answer:
                async for reply in answer:
                    if event := answer_so_far.take(reply):
                        yield event
                    if answer_so_far.is_late:
                        break
            written = answer_so_far.written


def _next(steps: GenerationSteps, written: ModelResponse | None) -> Event | ModelQuestion | None:
    """Return the next step; None at the end, as StopIteration cannot leave a coroutine."""
    try:
        return steps.send(written)
    except StopIteration:
        return None


class _AnswerSoFar:
    """The model's answer to a question so far."""

    def __init__(self, question: ModelQuestion) -> None:
        self._question = question
        self._lines = 0  # complete lines
        self.written = ModelResponse()

    def take(self, reply: Reply) -> Event | None:
        """Process a reply; return an event when another line of a function is complete."""
        self.written = continuation_in(reply)
        text, question = self.written.text, self._question
        before, self._lines = self._lines, max(self._lines, text.count("\n"))
        if not question.name or self._lines <= before:
            return None
        return Event(event="writing", name=question.name, source=question.beginning + text)

    @property
    def is_late(self) -> bool:
        """Whether the deadline of the question has passed."""
        return time.monotonic() >= self._question.until
