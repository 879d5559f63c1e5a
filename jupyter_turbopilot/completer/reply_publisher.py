"""The replies of one request: an index match, frames with generated text, and the last reply."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.job import DEADLINE
from jupyter_turbopilot.protocol.reply import Item, Reply, Timings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.completer.suggestion_plan import Matches
    from jupyter_turbopilot.index.lookup import LineMatch
    from jupyter_turbopilot.protocol.errors import TurbopilotError


class ReplyPublisher:
    """The replies that a request has sent. Each one extends the one before it.

    A confident line of the index may be sent before the engine begins. Generated text replaces it if it
    begins with that line, or if the line was not sent and has a lower confidence.
    """

    def __init__(self, name: str, listeners: Sequence[Listener], counters: dict[str, int]) -> None:
        """`listeners` receive each reply, in this order."""
        self.result = Reply(id=name)  # the last reply, as far as it is complete
        self.index_line: LineMatch | None = None
        self._listeners = listeners
        self._counters = counters
        self._submitted_at = time.perf_counter()
        self._settled = True  # whether the index look-up is complete
        self._shown: Reply | None = None  # the latest frame, if the first one came from the index
        self._streamed = False  # whether a frame with generated text was sent

    def publish(self, reply: Reply) -> None:
        """Send a reply to the listeners."""
        for listener in self._listeners:
            listener(reply)

    def offer(self, matches: Matches | None, model: str, *, stream: bool) -> Reply | None:
        """Store the index matches; send a confident line, or return it if it is the whole answer.

        `matches` is None if the index did not answer in time. `model` is empty if no engine is ready.
        """
        self.index_line = line = matches.line if matches else None
        self._settled = matches is not None and matches.settled
        if not (line and line.sure and model and (stream or line.whole)):
            return None
        self._counters["index_matches"] += 1
        timings = Timings(total_ms=(time.perf_counter() - self._submitted_at) * 1000)
        self._shown = Reply(self.result.id, model, (_item_of(line),), timings, uncached=True)
        if line.whole:
            return self._shown
        self.publish(self._shown)
        return None

    def stream(self, reply: Reply) -> None:
        """Send a frame with generated text, unless it contradicts a shown index match."""
        if self._extends_shown(reply):
            reply = replace(reply, uncached=reply.uncached or self._is_uncached)
            self._shown = self._shown and reply
            self._streamed = True
            self.publish(reply)

    def last(self, error: TurbopilotError | None, reason: str | None, *, uncached: bool) -> Reply:
        """Return the last reply: the items, or the reason why there are none.

        `reason`: why the request was cancelled, if it was.
        """
        reply = self._choose(error, reason)
        if reason and (reason != DEADLINE or not reply.items):
            reply = replace(reply, items=(), finish_reason=reason)
        from_index = any(item.from_index for item in reply.items)
        uncached = uncached or self._is_uncached or from_index or self.result.uncached
        return replace(reply, uncached=uncached)

    @property
    def _is_uncached(self) -> bool:
        # If the index was too slow, the next request may get a better answer.
        return bool(self._shown or not self._settled)

    def _extends_shown(self, reply: Reply) -> bool:
        """Return whether a reply extends the frames that were sent after an index match."""
        return not self._shown or bool(
            reply.items and reply.items[0].text.startswith(self._shown.items[0].text)
        )

    def _choose(self, error: TurbopilotError | None, reason: str | None) -> Reply:
        """Return the shown text, the generated one, or the line of the index."""
        reply = replace(self.result, done=True, error=error)
        if self._shown and not self._extends_shown(reply) and (not reason or reason == DEADLINE):
            # Keep the shown text, even if the engine failed.
            finish = "error" if error else reason or reply.finish_reason
            return replace(self._shown, done=True, finish_reason=finish)
        if not (self._shown or self._streamed or reason or error):
            return self._more_confident(reply)
        return reply

    def _more_confident(self, reply: Reply) -> Reply:
        """Return the generated reply, or the line of the index if its confidence is higher."""
        line = self.index_line
        if not (line and line.sure):
            return reply
        if reply.items and reply.items[0].confidence >= line.confidence:
            return reply
        self._counters["index_matches"] += 1
        return replace(reply, items=(_item_of(line),))


def _item_of(line: LineMatch) -> Item:
    reason = "stop" if line.whole else "length"
    confidence = round(line.confidence, 4)
    return Item(line.text, confidence, reason, imports=line.imports, from_index=True)
