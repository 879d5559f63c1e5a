"""The replies of one request: an index match, frames with generated text, and the last reply."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.job import DEADLINE
from jupyter_turbopilot.protocol.reply import Item, Reply, Timings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.completer.plan import Matches
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.index.lookup import LineMatch
    from jupyter_turbopilot.protocol.errors import TurbopilotError


class ReplyPublisher:
    """The replies of a request.

    A confident line of the index that is complete answers the request without the engine. A part of a line
    replaces the generated text if it has a higher confidence and no text was sent.
    """

    def __init__(self, name: str, listeners: Sequence[Listener], counters: dict[str, int]) -> None:
        """`listeners` receive each reply, in this order."""
        self.result = Reply(id=name)  # the last reply, as far as it is complete
        self.index_line: LineMatch | None = None
        self._listeners = listeners
        self._counters = counters
        self._submitted_at = time.perf_counter()
        # Whether the next request may get a better reply: with cells of the index, or without a look-up.
        self._uncached = False
        self._streamed = False  # whether a frame with generated text was sent

    def publish(self, reply: Reply) -> None:
        """Send a reply to the listeners."""
        for listener in self._listeners:
            listener(reply)

    def offer(self, matches: Matches, model: str) -> Reply | None:
        """Take the index matches; return the line that is the whole answer, if there is one.

        `model` is empty if no engine is ready.
        """
        self.index_line = line = matches.line
        self._uncached = bool(matches.cells.documents) or not matches.settled
        if not (line and line.sure and line.whole and model):
            return None
        timings = Timings(total_ms=(time.perf_counter() - self._submitted_at) * 1000)
        return replace(self._with_line(Reply(self.result.id, model), line), timings=timings)

    def stream(self, reply: Reply) -> None:
        """Send a frame with generated text."""
        self._streamed = True
        self.publish(replace(reply, uncached=self._uncached))

    def last(self, error: TurbopilotError | None, reason: str | None) -> Reply:
        """Return the last reply: the items, or the reason why there are none.

        `reason`: why the request was cancelled, if it was.
        """
        reply = replace(self.result, done=True, error=error)
        if not (self._streamed or reason or error):
            reply = self._more_confident(reply)
        if reason and (reason != DEADLINE or not reply.items):
            reply = replace(reply, items=(), finish_reason=reason, hidden_reason="")
        return replace(reply, uncached=self._uncached or reply.uncached)

    def _more_confident(self, reply: Reply) -> Reply:
        """Return the generated reply, or the line of the index if its confidence is higher."""
        line = self.index_line
        if not (line and line.sure):
            return reply
        if reply.items and (reply.items[0].from_index or reply.items[0].confidence >= line.confidence):
            return reply
        return self._with_line(reply, line)

    def _with_line(self, reply: Reply, line: LineMatch) -> Reply:
        self._counters["index_matches"] += 1
        return replace(reply, items=(_item_of(line),), uncached=True)


def _item_of(line: LineMatch) -> Item:
    reason = "stop" if line.whole else "length"
    confidence = round(line.confidence, 4)
    return Item(line.text, confidence, reason, imports=line.imports, from_index=True)
