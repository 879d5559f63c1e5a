"""One request, from its submission to its last reply."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from jupyter_turbopilot.engine.job import ANSWERED, DEADLINE, Job
from jupyter_turbopilot.protocol.reply import Item, Reply, Timings
from jupyter_turbopilot.util.threads import Alarm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.completer.cache.completion_cache import CachedCompletion
    from jupyter_turbopilot.completer.plan import Matches, Plan
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.completer.shared import Shared
    from jupyter_turbopilot.protocol.errors import TurbopilotError
    from jupyter_turbopilot.suggestion.lookup import LineMatch


LOOK_UP_SECONDS = 0.05  # that a finished text waits for the look-up


class CompletionJob(Job):
    """One request: its plan and its replies. It is in the queue while the index is queried.

    The look-up thread calls `take_matches`, and the worker's thread `stream` and `finish`. A confident line
    of the index that is complete answers the request. A part of a line replaces the generated text if it has
    a higher confidence and no text was sent. So the last reply waits for the look-up, but not long.
    """

    def __init__(self, plan: Plan, caller: str, listeners: Sequence[Listener], shared: Shared) -> None:
        """`listeners` receive each reply, in this order."""
        super().__init__(
            priority=plan.priority,
            deadline=plan.limits.deadline,
            caller=caller,
            client=plan.client,
            tenant=plan.cache_key.tenant,
            cell=plan.cell_key,
            sequence=plan.sequence,
        )
        self.id = uuid4().hex
        self.plan = plan
        self.index_line: LineMatch | None = None
        self.result = Reply(self.id)  # of the generation: the last reply, as far as it is complete
        self._answer: Reply | None = None  # instead of the generation's
        self.is_cached = False  # whether that is a cached completion
        self._cached: tuple[int, CachedCompletion | None] = (-1, None)  # with the cache's generation
        self._shared = shared
        self._listeners = listeners
        self._looks_up = False
        self._ready: tuple[TurbopilotError | None] | None = None  # the end, which waits for the look-up
        self._uncached = False  # whether the next request may get a better reply, from a complete look-up
        self._streamed = False  # whether a frame with generated text was sent
        self._sending = threading.RLock()  # any thread may send the last reply while the worker sends a frame
        self._ended = False  # whether the last reply was sent

    def find_cached(self) -> CachedCompletion | None:
        """Return the cached completion; the cache is read again only if it has changed."""
        if self.plan.is_cacheable and self._cached[0] != (now := self._shared.results.generation):
            found = self._shared.results.find(self.plan.cache_key)
            if found and not self.plan.replays:
                found = replace(found, complete=False)  # it is only a draft
            self._cached = now, found
        return self._cached[1]

    def begin_look_up(self) -> None:
        """Let the last reply wait for `end_look_up`."""
        self._looks_up, self._uncached = True, self.plan.asks_index

    def take_matches(self, matches: Matches, model: str) -> bool:
        """Take the index matches; answer with a confident complete line. Return whether there is one."""
        with self._sending:
            if self._ended or not self._looks_up:
                return self._ended
            self.index_line = line = matches.line
            self._uncached = not matches.settled
            if not (line and line.sure and line.whole):
                return False
            timings = Timings(total_ms=(time.monotonic() - self.queued_at) * 1000)
            self.answer(_with_line(Reply(self.id, model, timings=timings), line), "index_matches")
            return True

    def end_look_up(self) -> None:
        """Send the last reply if it waits for the look-up."""
        with self._sending:
            self._looks_up = False
            if self._ready:
                super().finish(*self._ready)

    def answer(self, reply: Reply, counter: str) -> None:
        """End with a reply that needs no engine, and count it, unless text was sent."""
        with self._sending:
            if not (self._ended or self._streamed):
                self._shared.counters[counter] += 1
                self._answer = reply
                self.cancel.set(ANSWERED)
                super().finish(None)

    def finish(self, error: TurbopilotError | None) -> None:
        with self._sending:
            if self._looks_up and not self.cancel.is_set():
                self._ready = (error,)
                Alarm(self.end_look_up).set(time.monotonic() + LOOK_UP_SECONDS)
            else:
                super().finish(error)

    def stream(self, reply: Reply) -> None:
        """Send a frame with generated text, unless the last reply was sent."""
        with self._sending:
            if not self._ended:
                self._streamed = True
                self.publish(replace(reply, uncached=self._uncached))

    def end(self, error: TurbopilotError | None) -> None:
        """Send the last reply, with the items or the reason why there are none."""
        shared = self._shared
        reason = None if self.cancel.reason == ANSWERED else self.cancel.reason
        shared.counters["cache_hits"] += self.is_cached and not (self._answer or reason or error)
        reply = replace(self._answer or self.result, done=True, error=error)
        if not (self._streamed or reason or error):
            reply = self._more_confident(reply)
        if reason and (reason != DEADLINE or not reply.items):
            reply = replace(reply, items=(), finish_reason=reason, hidden_reason="")
        if reply.items:
            shared.last_ms = reply.timings.total_ms
        elif self.plan.automatic and not (self.plan.exact or reason or error):
            shared.counters["hidden"] += 1
        with self._sending:
            self._ended = True
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
        self._shared.counters["index_matches"] += 1
        return _with_line(reply, line)


def _with_line(reply: Reply, line: LineMatch) -> Reply:
    reason = "stop" if line.whole else "length"
    item = Item(line.text, round(line.confidence, 4), reason, imports=line.imports, from_index=True)
    return replace(reply, items=(item,), uncached=True)
