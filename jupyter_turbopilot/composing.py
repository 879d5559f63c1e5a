"""How an answer comes about: prompt, tokens, trimming, further answers, ranking; one task at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.generation import Ask, Beginning, Sampling, Token, Usage
from jupyter_turbopilot.engine.job import DEADLINE
from jupyter_turbopilot.engine.queue import Priority
from jupyter_turbopilot.reply import Item, Reply, Timings
from jupyter_turbopilot.suggestion.candidates import branches
from jupyter_turbopilot.suggestion.writing import Verbatim

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.prompt import Prompt
    from jupyter_turbopilot.suggestion.cache import Known, Place, Results
    from jupyter_turbopilot.suggestion.writing import Writing

Listener = Callable[[Reply], None]


@dataclass(frozen=True)
class Task:
    """What is to be written for a request, whatever protocol it came by."""

    prompt: Callable[[Engine], Prompt]
    writing: Callable[[], Writing]
    place: Place
    sampling: Sampling
    names: Callable[[], Sequence[str]] = tuple  # where only some can follow: one of these does
    n: int = 1
    best: int = 0  # of so many the likeliest are answered; 0: every one that differs
    stream: bool = False
    client: str = ""
    language: str = ""
    priority: Priority = Priority.TYPING
    moves: bool = False  # what stands behind the cursor may be moved instead of read again
    deadline: float = 0.0
    prompt_seconds: float = 0.0
    seconds: float = 0.0
    gated: bool = False  # shown only where it is worth it
    answers: bool = True  # a known answer is given again; otherwise it is only a guess to be verified


def compose(
    name: str,
    task: Task,
    engine: Engine,
    job: Job,
    known: Known | None,
    listener: Listener,
    results: Results,
) -> Generator[Ask, list[Token], Reply]:
    """Write what a task asks for; yields what is to be computed, is sent the tokens."""
    begun = time.perf_counter()
    prompt = task.prompt(engine)
    # What was backed up over is written again before the rest that is known.
    hint = engine.tokenize(prompt.forced.decode("utf-8", "ignore") + known.text) if known else []
    if known and known.ended:
        hint = hint[:-1]  # what comes after the end is nobody's
    aligned = not known or known.aligned or bool(prompt.forced)
    context_ms = (time.perf_counter() - begun) * 1000
    items: list[Item] = []
    sampling = replace(task.sampling, beginning=_beginning(prompt.forced, task.names()))
    fixed = prompt.fixed if task.moves else (0, 0)
    first = Ask(prompt.tokens, sampling, Usage(), hint, aligned, fixed, task.language)
    asks: list[tuple[Ask, Sequence[Token]]] = [(first, ())]
    spent = 0
    while asks and not job.cancel.is_set():
        ask, begun_with = asks.pop(0)
        writing = task.writing()
        writing.take(begun_with)
        late = False
        if prompt.tokens:
            if ask is first and task.prompt_seconds:
                # What each key has read anew is read: the next request could not go on from there.
                job.read_by, job.read_but = time.monotonic() + task.prompt_seconds, prompt.behind
            while not writing.done and not late and (tokens := (yield ask)):
                job.read_by = 0.0
                if writing.take(tokens) and task.stream and not job.cancel.is_set():
                    item = _item(writing, "streaming", len(items))
                    listener(Reply(name, engine.name, (item,)))
                # A line is written to its end, as llama.cpp's server does.
                late = 0 < task.seconds * 1000 < ask.usage.predicted_ms
                late = late and any(b"\n" in token.data for token in tokens)
            job.read_by = 0.0
        # Behind a stop text what a guess was verified for is nobody's.
        stopped = isinstance(writing, Verbatim) and writing.done
        spent += len(writing.tokens) if stopped else ask.usage.predicted_tokens
        most = min(ask.sampling.max_tokens, engine.context_size - len(ask.prompt))
        whole = writing.done or (not late and ask.usage.predicted_tokens < most)
        reason = DEADLINE if job.cancel.reason == DEADLINE else "stop" if whole else "length"
        writing.finish(whole=reason == "stop")
        if ask is first:
            if task.sampling.plain and not job.cancel.is_set() and task.sampling.max_tokens:
                results.remember(task.place, writing.tokens, ended=whole and not writing.gave_up)
            asks = _others(first, task, writing.tokens, engine)
        item = _item(writing, reason, len(items))
        if task.best or (item.text and all(item.text != other.text for other in items)):
            items.append(item)
    waited = (job.started_at - job.queued_at) * 1000
    total = waited + (time.perf_counter() - begun) * 1000
    cost = vars(first.usage) | {"predicted_tokens": spent}
    timings = Timings(queue_ms=waited, context_ms=context_ms, total_ms=total, **cost)
    full = len(prompt.tokens) + first.usage.predicted_tokens >= engine.context_size
    return Reply(name, engine.name, tuple(_ranked(items, task)), timings, truncated=prompt.cut or full)


def _others(
    first: Ask, task: Task, tokens: Sequence[Token], engine: Engine
) -> list[tuple[Ask, Sequence[Token]]]:
    """Return how further answers are asked for, and how they begin: drawn anew, or branching off."""

    def another(begun: Sequence[Token] = (), **changed: Any) -> tuple[Ask, Sequence[Token]]:
        prompt = [*first.prompt, *(token.id for token in begun)]
        sampling = replace(first.sampling, **changed)
        return replace(first, prompt=prompt, sampling=sampling, usage=Usage(), hint=()), begun

    if task.best or task.sampling.temperature:
        return [another(seed=task.sampling.seed + number) for number in range(1, task.n)]
    found = []
    for begun, banned in branches(tokens, task.n - 1):
        written = b"".join(engine.piece(token.id) for token in begun)
        beginning = replace(first.sampling.beginning.after(written), banned=banned)
        left = max(1, task.sampling.max_tokens - len(begun))
        found.append(another(begun, max_tokens=left, beginning=beginning))
    return found


def _beginning(typed: bytes, names: Sequence[str]) -> Beginning:
    """Return what a text begins with: what is typed already, and one of the names that can follow."""
    ways = tuple(typed + name.encode() for name in names) or ((typed,) if typed else ())
    return Beginning(ways, len(typed))


def again(name: str, model: str, task: Task, known: Known) -> Reply:
    """Answer with what is known, through the same trimming and the same gate."""
    begun = time.perf_counter()
    writing = task.writing()
    writing.take(known.tokens)
    reason = "stop" if known.ended or writing.done else "length"
    writing.finish(whole=reason == "stop")
    items = (_item(writing, reason),) if writing.shown else ()
    return Reply(name, model, items, Timings(total_ms=(time.perf_counter() - begun) * 1000))


def _item(writing: Writing, reason: str, index: int = 0) -> Item:
    stopped = writing.stopped_by if isinstance(writing, Verbatim) else ""
    return Item(writing.shown, round(writing.confidence, 4), reason, index, stopped, tuple(writing.tokens))


def _ranked(items: list[Item], task: Task) -> list[Item]:
    """Put the best first; of texts that were drawn for the best of them, keep so many."""
    if task.best:
        if len(items) > task.best:
            items = sorted(items, key=lambda item: -_likelihood(item))[: task.best]
        return [replace(item, index=index) for index, item in enumerate(items)]
    return items if task.sampling.temperature else sorted(items, key=lambda item: -item.confidence)


def _likelihood(item: Item) -> float:
    """Return the mean logarithm of a text's tokens."""
    chances = [math.log(max(1e-12, token.probability)) for token in item.tokens]
    return sum(chances) / len(chances) if chances else 0.0
