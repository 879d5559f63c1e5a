"""Replies on their way from the worker to a client, who may read them slowly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from jupyter_turbopilot.reply import Reply

Listener = Callable[[Reply], None]  # called on the worker's threads, or at once; the last time with `done`


class Mailbox:
    """Replies to one or several requests that nobody has read yet: of each the newest and the last.

    A reply holds all of its texts so far, so whoever reads slowly misses frames but nothing of the text.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, bool], Reply] = {}
        self._came = asyncio.Event()

    def put(self, number: int, reply: Reply) -> None:
        """Take the next reply to one of the requests, on the event loop."""
        key = (number, reply.done)
        older = self._waiting.get(key)
        self._waiting[key] = _joined(older, reply) if older else reply
        self._came.set()

    async def get(self) -> tuple[int, Reply]:
        """Return the reply that has waited longest, and which request it is to."""
        while not self._waiting:
            self._came.clear()
            await self._came.wait()
        key = next(iter(self._waiting))
        return key[0], self._waiting.pop(key)


def _joined(older: Reply, newer: Reply) -> Reply:
    """Return the newer reply with those texts of the older that it leaves out."""
    items = {item.index: item for item in (*older.items, *newer.items)}
    return replace(newer, items=tuple(items.values()))


class Replies:
    """What is answered, as it grows. Nothing has to be closed: whoever has enough just stops asking."""

    def __init__(self) -> None:
        self._mailbox = Mailbox()
        self._begun = self._ended = False

    def put(self, reply: Reply) -> None:
        """Take the next reply, on the event loop."""
        self._mailbox.put(0, reply)

    def __aiter__(self) -> Replies:
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


class Together:
    """What is answered to several requests, with the number of the request; an error ends all."""

    def __init__(self, count: int) -> None:
        self._mailbox = Mailbox()
        self._left = count

    def put(self, number: int, reply: Reply) -> None:
        """Take the next reply to one of them, on the event loop."""
        self._mailbox.put(number, reply)

    def __aiter__(self) -> Together:
        return self

    async def __anext__(self) -> tuple[int, Reply]:
        """Return the next reply to any of them."""
        if not self._left:
            raise StopAsyncIteration
        number, reply = await self._mailbox.get()
        if reply.error:
            raise reply.error
        self._left -= reply.done
        return number, reply
