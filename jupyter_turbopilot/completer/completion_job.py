"""One request, from its submission to its last reply."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from jupyter_turbopilot.completer.text import Text
from jupyter_turbopilot.completer.text_generator import TextGenerator
from jupyter_turbopilot.engine.job import DEADLINE, Job
from jupyter_turbopilot.index.cells import NO_CELLS
from jupyter_turbopilot.protocol.reply import Item, Reply, Timings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.completer.cache.completion_cache import CachedCompletion
    from jupyter_turbopilot.completer.plan import Matches, Plan
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.completer.shared import Shared
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.index.lookup import LineMatch
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token
    from jupyter_turbopilot.protocol.errors import TurbopilotError


class CompletionJob(Job):
    """One request: its plan, the generator of its text, and its replies.

        look-up ────────▶ waiting ──▶ begun ──▶ ended
              │              │                    ▲
              └──────────────┴────────────────────┘ superseded, cancelled, late, answered from index or cache

    The look-up thread calls `take_matches`. The worker's thread calls `begin`, `feed` and `close`. Any thread
    may call `end`.

    A confident line of the index that is complete answers the request without the engine. A part of a line
    replaces the generated text if it has a higher confidence and no text was sent.
    """

    def __init__(self, plan: Plan, caller: str, listeners: Sequence[Listener], shared: Shared) -> None:
        """`listeners` receive each reply, in this order."""
        super().__init__(
            priority=plan.priority, deadline=plan.limits.deadline, caller=caller, client=plan.client
        )
        self.id = uuid4().hex
        self.plan = plan
        self.needs_cached_answer = False  # whether the load allows no other answer
        self.cells = NO_CELLS  # of the index, for the prompt
        self.index_line: LineMatch | None = None
        self.cache_key = plan.cache_key
        self.result = Reply(self.id)  # the last reply, as far as it is complete
        self._cached: tuple[int, CachedCompletion | None] = (-1, None)  # with the cache's generation
        self._shared = shared
        self._listeners = listeners
        # Whether the next request may get a better reply: with cells of the index, or without a look-up.
        self._uncached = False
        self._streamed = False  # whether a frame with generated text was sent
        self._generator: TextGenerator | None = None

    @property
    def text(self) -> Text:
        """The text that is being generated; empty before `begin`, and after another request took it over."""
        return self._generator.text if self._generator else Text()

    def release_text(self) -> Text:
        """Return the text, which a newer request takes over, and continue with an empty one."""
        text = self.text
        if self._generator:
            self._generator.text = Text()
        return text

    def find_cached(self) -> CachedCompletion | None:
        """Return the cached completion; the cache is read again only if it has changed."""
        if self.plan.is_cacheable and self._cached[0] != (now := self._shared.results.generation):
            self._cached = now, self._shared.results.find(self.cache_key)
        return self._cached[1]

    def find_answer(self) -> CachedCompletion | None:
        """Return the cached completion if it is the whole answer."""
        cached = self.find_cached()
        return cached if cached and self.plan.is_answered_by(cached) else None

    def take_matches(self, matches: Matches, model: str = "") -> bool:
        """Take the index matches; answer with a confident complete line. Return whether there is one.

        `model` is empty if no engine is ready.
        """
        self.index_line = line = matches.line
        self._uncached = bool(matches.cells.documents) or not matches.settled
        if matches.cells.documents:
            self.cells, key = matches.cells, self.plan.cache_key
            self.cache_key = replace(key, group=(key.group, matches.cells.digest), persistent=False)
            self._cached = (-1, None)
        if not (line and line.sure and line.whole and model):
            return False
        timings = Timings(total_ms=(time.monotonic() - self.queued_at) * 1000)
        self.answer(self._with_line(Reply(self.id, model, timings=timings), line))
        return True

    def answer(self, reply: Reply) -> None:
        """End with a reply that needs no engine."""
        self.supersede_older()
        self.result = reply
        self.finish(None)

    def begin(self, engine: Engine, older: Job | None) -> EngineRequest | None:
        text = older.release_text() if isinstance(older, CompletionJob) else Text()
        self._generator = TextGenerator(self, engine, text, self._shared)
        return self._generator.resume()

    def feed(self, tokens: list[Token]) -> EngineRequest | None:
        """Take generated tokens; return the request that continues."""
        return self._generator.resume(tokens) if self._generator else None

    def close(self) -> None:
        """Cache the text as a draft, unless another request continues it."""
        if self._generator:
            self._generator.close()

    def stream(self, reply: Reply) -> None:
        """Send a frame with generated text."""
        self._streamed = True
        self.publish(replace(reply, uncached=self._uncached))

    def end(self, error: TurbopilotError | None) -> None:
        """Send the last reply, with the items or the reason why there are none."""
        shared, reason = self._shared, self.cancel.reason
        reply = replace(self.result, done=True, error=error)
        if not (self._streamed or reason or error):
            reply = self._more_confident(reply)
        if reason and (reason != DEADLINE or not reply.items):
            reply = replace(reply, items=(), finish_reason=reason, hidden_reason="")
        shared.editors.remove_ended(self)
        if reply.items:
            shared.last_ms = reply.timings.total_ms
        elif self.plan.automatic and not (self.plan.exact or reason or error):
            shared.counters["hidden"] += 1
        self.publish(replace(reply, uncached=self._uncached or reply.uncached))

    def publish(self, reply: Reply) -> None:
        """Send a reply to the listeners."""
        for listener in self._listeners:
            listener(reply)

    def _more_confident(self, reply: Reply) -> Reply:
        """Return the generated reply, or the line of the index if its confidence is higher."""
        line = self.index_line
        if not (line and line.sure):
            return reply
        if reply.items and (reply.items[0].from_index or reply.items[0].confidence >= line.confidence):
            return reply
        return self._with_line(reply, line)

    def _with_line(self, reply: Reply, line: LineMatch) -> Reply:
        self._shared.counters["index_matches"] += 1
        reason = "stop" if line.whole else "length"
        item = Item(line.text, round(line.confidence, 4), reason, imports=line.imports, from_index=True)
        return replace(reply, items=(item,), uncached=True)
