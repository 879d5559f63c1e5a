"""One request, from its submission to its last reply."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from jupyter_turbopilot.completer.reply_publisher import ReplyPublisher
from jupyter_turbopilot.completer.text import Text
from jupyter_turbopilot.completer.text_generator import TextGenerator
from jupyter_turbopilot.engine.job import Job
from jupyter_turbopilot.index.cells import NO_CELLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.completer.cache.completion_cache import CachedCompletion
    from jupyter_turbopilot.completer.plan import Matches, Plan
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.completer.shared import Shared
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token
    from jupyter_turbopilot.protocol.errors import TurbopilotError
    from jupyter_turbopilot.protocol.reply import Reply


class CompletionJob(Job):
    """One request: its plan, the generator of its text, and its replies.

        look-up ────────▶ waiting ──▶ begun ──▶ ended
              │              │                    ▲
              └──────────────┴────────────────────┘ superseded, cancelled, late, answered from index or cache

    The look-up thread calls `offer`. The worker's thread calls `begin`, `feed` and `close`. Any thread may
    call `end`.
    """

    def __init__(self, plan: Plan, caller: str, listeners: Sequence[Listener], shared: Shared) -> None:
        """`listeners` receive each reply, in this order."""
        super().__init__(
            priority=plan.priority, deadline=plan.limits.deadline, caller=caller, client=plan.client
        )
        self.id = uuid4().hex
        self.plan = plan
        self.is_refused = False  # whether the load of the server allows only an answer without the engine
        self.cells = NO_CELLS  # of the index, for the prompt
        self.cache_key = plan.cache_key
        self._cached: tuple[int, CachedCompletion | None] = (-1, None)  # with the cache's generation
        self._shared = shared
        self._publisher = ReplyPublisher(self.id, listeners, shared.counters)
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

    def offer(self, matches: Matches, model: str = "") -> bool:
        """Take the index matches; answer with a confident complete line. Return whether there is one.

        `model` is empty if no engine is ready.
        """
        if matches.cells.documents:
            self.cells, key = matches.cells, self.plan.cache_key
            self.cache_key = replace(key, group=(key.group, matches.cells.digest), persistent=False)
            self._cached = (-1, None)
        whole = self._publisher.offer(matches, model)
        if whole:
            self.answer(whole)
        return whole is not None

    def answer(self, reply: Reply) -> None:
        """End with a reply that needs no engine."""
        self.supersede_older()
        self._publisher.result = reply
        self.finish(None)

    def begin(self, engine: Engine, older: Job | None) -> EngineRequest | None:
        text = older.release_text() if isinstance(older, CompletionJob) else Text()
        self._generator = TextGenerator(self, engine, text, self._shared, self._publisher)
        return self._generator.resume()

    def feed(self, tokens: list[Token]) -> EngineRequest | None:
        """Take generated tokens; return the request that continues."""
        return self._generator.resume(tokens) if self._generator else None

    def close(self) -> None:
        """Cache the text as a draft, unless another request continues it."""
        if self._generator:
            self._generator.close()

    def end(self, error: TurbopilotError | None) -> None:
        """Send the last reply, with the items or the reason why there are none."""
        reply = self._publisher.last(error, self.cancel.reason)
        shared = self._shared
        shared.editors.leave(self)
        if reply.items:
            shared.last_ms = reply.timings.total_ms
        elif self.plan.automatic and not (self.plan.exact or self.cancel.is_set() or reply.error):
            shared.counters["hidden"] += 1
        self._publisher.publish(reply)
