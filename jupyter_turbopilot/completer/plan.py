"""The plan of a request, for all protocols."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from jupyter_turbopilot.engine.job import Priority
from jupyter_turbopilot.protocol.reply import Item, Reply, Timings
from jupyter_turbopilot.suggestion.writing import Verbatim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.completer.cache.completion_cache import (
        CachedCompletion,
        CacheKey,
        CompletionCache,
    )
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.prompt.layout import Layout
    from jupyter_turbopilot.protocol.engine_request import Sampling
    from jupyter_turbopilot.suggestion.writing import Writing


@dataclass(frozen=True, kw_only=True)
class Plan(ABC):
    """The parameters of a request: limits, priority, and the key of its cache entry.

    A plan is made on the event loop, so making one is cheap: nothing is parsed. Its methods take longer and
    run on other threads, most on the worker's.
    """

    cache_key: CacheKey  # the key of the cache entry
    sampling: Sampling
    in_units: bool = False  # whether `max_tokens` counts tokens of about three characters, not the model's
    names_stay: bool = False  # whether `names` may not be sent to a remote engine
    n: int = 1
    best: int = 0  # how many of the `n` texts to return, the most likely; 0: all that differ
    stream: bool = False
    client: str = ""
    sequence: int = 0  # the client's number for the request; 0: the client does not number them
    cell_key: str = ""  # the document and the cell with the cursor
    session: str = ""
    language: str = ""
    priority: Priority = Priority.TYPING
    moves: bool = False  # whether KV cells may be moved instead of evaluated again
    deadline: float = 0.0
    prompt_seconds: float = 0.0
    seconds: float = 0.0
    automatic: bool = False  # whether the editor sends it while the user types
    judged: bool = False  # whether the gate has a threshold, which requires the tokens' probabilities
    answers: bool = True  # whether cached completions are replayed; otherwise they only serve as drafts
    exact: bool = False  # whether prompt and draft are sent to the engine unchanged
    hint: Sequence[int] = ()  # the draft of an exact request
    aligned: bool = True  # whether the hint starts at a token boundary
    uncached: bool = False  # whether the prompt contains cells of the index: nothing is saved to disk

    evaluates_whole: bool = True  # whether the prompt has its whole length on a slow machine, too

    @abstractmethod
    def prompt(self, engine: Engine, layout: Layout) -> Prompt:
        """Return the prompt for an engine."""

    @abstractmethod
    def writing(self) -> Writing:
        """Return an empty text, which trims the tokens that it takes."""

    def names(self) -> Sequence[str]:
        """Return the names of which one must follow; empty if there is no such constraint."""
        return ()

    def truncated(self, max_tokens: int) -> Plan:  # noqa: ARG002 - most prompts have one length
        """Return the plan with fewer tokens before the cursor, if its prompt can be truncated."""
        return self

    def for_tenant(self, tenant: str, session: str) -> Self:
        """Return the plan with an owner and a session."""
        return replace(self, cache_key=replace(self.cache_key, tenant=tenant), session=session)

    @property
    def is_cacheable(self) -> bool:
        """Whether the answer is cached: only texts without sampling are the same each time."""
        return self.sampling.plain and not self.exact

    def whole(self) -> Self:
        """Return the plan that only evaluates the whole prompt, when there is no other work."""
        return replace(
            self,
            sampling=replace(self.sampling, max_tokens=0),
            n=1,
            stream=False,
            client=f"{self.client} whole",  # its own, so that keystrokes do not supersede it
            sequence=0,
            priority=Priority.WARMUP,
            deadline=0.0,
            automatic=False,
            evaluates_whole=True,
        )

    def find_cached(self, results: CompletionCache) -> CachedCompletion | None:
        return results.find(self.cache_key) if self.is_cacheable else None

    def is_answered_by(self, cached: CachedCompletion) -> bool:
        """Return whether a cached completion is the whole answer."""
        return cached.complete and self._replays

    def may_be_answered_by(self, cached: CachedCompletion) -> bool:
        """Return whether the beginning of an answer may be enough, because its probabilities apply."""
        return cached.aligned and self.judged and self._replays and not self.names()

    @property
    def _replays(self) -> bool:
        return self.answers and self.n == 1 and self.sampling.max_tokens > 0


def replay(name: str, model: str, plan: Plan, cached: CachedCompletion) -> Reply | None:
    """Return the reply for a cached completion, which is trimmed and scored as usual.

    None if it has to be continued: it is the beginning of an answer that may be shown.
    """
    begun = time.perf_counter()
    writing = plan.writing()
    if cached.typed:
        writing.resume(cached.tokens)
    else:
        writing.take(cached.tokens)
    if not (writing.done or plan.is_answered_by(cached)):
        return None
    reason = "stop" if cached.ended or writing.done else "length"
    writing.finish(whole=reason == "stop")
    items = (item_of(writing, reason),) if writing.shown else ()
    timings = Timings(total_ms=(time.perf_counter() - begun) * 1000)
    return Reply(name, model, items, timings, hidden_reason=writing.hidden_reason, uncached=writing.undecided)


def item_of(writing: Writing, reason: str, index: int = 0) -> Item:
    """Return the visible part of a text as an item of a reply."""
    stopped = writing.stopped_by if isinstance(writing, Verbatim) else ""
    tokens = tuple(writing.tokens)
    confidence = round(writing.confidence, 4)
    return Item(
        writing.shown, confidence, reason, index, stopped, tokens, writing.imports, opens=writing.opens
    )
