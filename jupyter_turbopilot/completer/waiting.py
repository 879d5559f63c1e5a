"""Waiting for replies: an iterator for a thread, and iterators for coroutines, who may read slowly.

Each is made first, and its `listen` goes to `Completer.submit`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue

from jupyter_turbopilot.reply import Reply

Listener = Callable[[Reply], None]  # called on the worker's threads, or at once; the last time with `done`


class Replies:
    """The replies to a request as they grow, for a thread; what went wrong stands in the last."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Reply] = SimpleQueue()
        self._ended = False
        self.listen: Listener = self._queue.put

    def __iter__(self) -> Replies:
        return self

    def __next__(self) -> Reply:
        """Wait for the next reply."""
        if (reply := self.within(None)) is None:
            raise StopIteration
        return reply

    def within(self, seconds: float | None) -> Reply | None:
        """Return the next reply; None where none comes in that time, or none will come any more."""
        if self._ended:
            return None
        try:
            reply = self._queue.get(timeout=seconds)
        except Empty:
            return None
        self._ended = reply.done
        return reply

    def last(self) -> Reply:
        """Wait for the last reply, which nobody has read yet."""
        *_, reply = self
        return reply


class Mailbox:
    """Replies to one or several requests that nobody has read yet: of each the newest and the last.

    A reply holds all of its texts so far, so whoever reads slowly misses frames but nothing of the text.
    `arrived` is called on the event loop with each reply that comes, read or not.
    """

    def __init__(self, arrived: Listener | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = arrived
        self._waiting: dict[tuple[int, bool], Reply] = {}
        self._came = asyncio.Event()

    def listen(self, number: int, reply: Reply) -> None:
        """Take the next reply to one of the requests, on any thread."""
        with suppress(RuntimeError):  # the loop has ended: nobody listens any more
            self._loop.call_soon_threadsafe(self._arrive, number, reply)

    def _arrive(self, number: int, reply: Reply) -> None:
        if self._arrived:
            self._arrived(reply)
        self.put(number, reply)

    def put(self, number: int, reply: Reply) -> None:
        """Take the next reply to one of the requests, on the event loop."""
        key = (number, reply.done)
        if older := self._waiting.get(key):
            # A reply may leave out texts that have not changed.
            items = {item.index: item for item in (*older.items, *reply.items)}
            reply = replace(reply, items=tuple(items.values()))
        self._waiting[key] = reply
        self._came.set()

    async def get(self) -> tuple[int, Reply]:
        """Return the reply that has waited longest, and which request it is to."""
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        key = next(iter(self._waiting))
        return key[0], self._waiting.pop(key)


class AsyncReplies:
    """What is answered, as it grows. Nothing has to be closed: whoever has enough just stops asking."""

    def __init__(self, arrived: Listener | None = None) -> None:
        self._mailbox = Mailbox(arrived)
        self._begun = self._ended = False
        self.listen: Listener = partial(self._mailbox.listen, 0)

    def put(self, reply: Reply) -> None:
        """Take the next reply, on the event loop."""
        self._mailbox.put(0, reply)

    def leave(self) -> None:
        """Wait no longer: the reply that is read next is an empty last one, whatever comes."""
        self.put(Reply("", done=True))

    def __aiter__(self) -> AsyncReplies:
        return self

    async def __anext__(self) -> Reply:
        """Return the next reply; an error is raised where nothing came before it."""
        if self._ended:
            raise StopAsyncIteration
        _, reply = await self._mailbox.get()
        self._ended = reply.done
        if reply.error and not self._begun:
            raise reply.error
        self._begun = True
        return reply


class AsyncBatch(Mailbox):
    """What is answered to several requests, with the number of the request; an error ends all."""

    def __init__(self, count: int, arrived: Listener | None = None) -> None:
        super().__init__(arrived)
        self._left = count

    def listener(self, number: int) -> Listener:
        """Return what listens for one of them."""
        return partial(self.listen, number)

    def __aiter__(self) -> AsyncBatch:
        return self

    async def __anext__(self) -> tuple[int, Reply]:
        """Return the next reply to any of them."""
        if not self._left:
            raise StopAsyncIteration
        number, reply = await self.get()
        if reply.error:
            raise reply.error
        self._left -= reply.done
        return number, reply
