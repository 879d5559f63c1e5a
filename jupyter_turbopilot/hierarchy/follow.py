"""Asks for what a growth has to have written, and passes on what happens."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, closing
from typing import TYPE_CHECKING

from jupyter_turbopilot.hierarchy.event import Event
from jupyter_turbopilot.hierarchy.question import Continuation, Question, continuation_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from jupyter_turbopilot.hierarchy.growth import Growth
    from jupyter_turbopilot.reply import Reply
    from jupyter_turbopilot.request import Completion


def follow(growth: Growth, replies: Callable[[Completion], Generator[Reply]]) -> Generator[Event]:
    """Yield the events; `replies` answers a completion. Closing this stops what is being written."""
    step = _next(growth, None)
    while step:
        if isinstance(step, Event):
            yield step
            step = _next(growth, None)
            continue
        lines, written = 0, Continuation()
        with closing(replies(step.completion)) as answer:
            for reply in answer:
                written = continuation_in(reply)
                if event := _grown(step, written, lines):
                    lines = written.text.count("\n")
                    yield event
                if time.monotonic() >= step.until:
                    break
        step = _next(growth, written)


async def follow_async(
    growth: Growth, replies: Callable[[Completion], AsyncGenerator[Reply]]
) -> AsyncGenerator[Event]:
    """Yield the events, on an event loop: parsing takes its time in a thread."""
    step = await asyncio.to_thread(_next, growth, None)
    while step:
        if isinstance(step, Event):
            yield step
            step = await asyncio.to_thread(_next, growth, None)
            continue
        lines, written = 0, Continuation()
        async with aclosing(replies(step.completion)) as answer:
            async for reply in answer:
                written = continuation_in(reply)
                if event := _grown(step, written, lines):
                    lines = written.text.count("\n")
                    yield event
                if time.monotonic() >= step.until:
                    break
        step = await asyncio.to_thread(_next, growth, written)


def _next(growth: Growth, written: Continuation | None) -> Event | Question | None:
    """Return the next step; None at the end, which a coroutine cannot be told by StopIteration."""
    try:
        return growth.send(written)
    except StopIteration:
        return None


def _grown(ask: Question, written: Continuation, lines: int) -> Event | None:
    """Return an event where another line of a function is whole."""
    if not ask.name or written.text.count("\n") <= lines:
        return None
    return Event(event="writing", name=ask.name, source=ask.beginning + written.text)
