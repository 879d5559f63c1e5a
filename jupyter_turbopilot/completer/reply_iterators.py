"""Iterators over replies, for threads and for coroutines. Pass their `listen` to `Completer.submit`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue

from jupyter_turbopilot.protocol.reply import Reply

Listener = Callable[[Reply], None]  # called on any thread; the last reply has `done` set


class Replies:
    """The replies to a request, for a thread. The last one contains the error, if any."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Reply] = SimpleQueue()
        self._ended = False
        self.listen: Listener = self._queue.put

    def __iter__(self) -> Replies:
        return self

    def __next__(self) -> Reply:
        if (reply := self.within(None)) is None:
            raise StopIteration
        return reply

    def within(self, seconds: float | None) -> Reply | None:
        """Return the next reply; None after a timeout or after the last reply."""
        if self._ended:
            return None
        try:
            reply = self._queue.get(timeout=seconds)
        except Empty:
            return None
        self._ended = reply.done
        return reply

    def last(self) -> Reply:
        *_, reply = self
        return reply


class Mailbox:
    """Unread replies to one or several requests: the newest and the last of each.

    Each reply contains the whole text so far, so a slow reader misses frames but no text. `arrived` is called
    on the event loop with each reply, read or not.
    """

    def __init__(self, arrived: Listener | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = arrived
        self._waiting: dict[tuple[int, bool], Reply] = {}
        self._filled = asyncio.Event()

    def listener(self, number: int) -> Listener:
        """Return the listener for one of the requests, for any thread."""

        def listen(reply: Reply) -> None:
            with suppress(RuntimeError):  # the event loop is closed
                self._loop.call_soon_threadsafe(self.put, number, reply)

        return listen

    def put(self, number: int, reply: Reply) -> None:
        """Add a reply to one of the requests, on the event loop."""
        if self._arrived:
            self._arrived(reply)
        key = (number, reply.done)
        if older := self._waiting.get(key):
            # A reply may omit texts that have not changed.
            items = {item.index: item for item in (*older.items, *reply.items)}
            reply = replace(reply, items=tuple(items.values()))
        self._waiting[key] = reply
        self._filled.set()

    async def get(self) -> tuple[int, Reply]:
        """Return the number of a request and its reply, in the order of arrival."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        key = next(iter(self._waiting))
        return key[0], self._waiting.pop(key)


class AsyncReplies(Mailbox):
    """The replies to a request, for a coroutine. It needs no closing."""

    def __init__(self, arrived: Listener | None = None) -> None:
        super().__init__(arrived)
        self._begun = self._ended = False
        self.listen = self.listener(0)

    def leave(self) -> None:
        """End the iteration with an empty last reply."""
        self.put(0, Reply("", done=True))

    def __aiter__(self) -> AsyncReplies:
        return self

    async def __anext__(self) -> Reply:
        """Return the next reply. Raise its error if it is the first reply."""
        if self._ended:
            raise StopAsyncIteration
        _, reply = await self.get()
        self._ended = reply.done
        if reply.error and not self._begun:
            raise reply.error
        self._begun = True
        return reply


class AsyncBatch(Mailbox):
    """The replies to several requests, each with the number of its request. An error ends all."""

    def __init__(self, count: int, arrived: Listener | None = None) -> None:
        super().__init__(arrived)
        self._left = count

    def __aiter__(self) -> AsyncBatch:
        return self

    async def __anext__(self) -> tuple[int, Reply]:
        """Return the next reply to any of the requests."""
        if not self._left:
            raise StopAsyncIteration
        number, reply = await self.get()
        if reply.error:
            raise reply.error
        self._left -= reply.done
        return number, reply
