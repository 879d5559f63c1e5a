"""Answering with what is known already, without the engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jupyter_turbopilot.reply import Item, Reply, Timings
from jupyter_turbopilot.suggestion.writing import Verbatim

if TYPE_CHECKING:
    from jupyter_turbopilot.completer.task import Task
    from jupyter_turbopilot.suggestion.cache import Known
    from jupyter_turbopilot.suggestion.writing import Writing


def replay(name: str, model: str, task: Task, known: Known) -> Reply:
    """Answer with what is known, through the same trimming and the same gate."""
    begun = time.perf_counter()
    writing = task.writing()
    if known.typed:
        writing.resume(known.tokens)
    else:
        writing.take(known.tokens)
    reason = "stop" if known.ended or writing.done else "length"
    writing.finish(whole=reason == "stop")
    items = (item_of(writing, reason),) if writing.shown else ()
    timings = Timings(total_ms=(time.perf_counter() - begun) * 1000)
    return Reply(name, model, items, timings, passing=writing.undecided)


def item_of(writing: Writing, reason: str, index: int = 0) -> Item:
    """Return what a text shows so far."""
    stopped = writing.stopped_by if isinstance(writing, Verbatim) else ""
    tokens = tuple(writing.tokens)
    return Item(writing.shown, round(writing.confidence, 4), reason, index, stopped, tokens, writing.imports)
