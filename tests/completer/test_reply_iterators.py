from __future__ import annotations

import asyncio
import threading

import pytest

from jupyter_turbopilot.completer.reply_iterators import AsyncBatch, AsyncReplies, Replies
from jupyter_turbopilot.plugins.protocols.deltas import Deltas
from jupyter_turbopilot.protocol.errors import BusyError
from jupyter_turbopilot.protocol.reply import Item, Reply


def reply(text: str, index: int = 0, *, done: bool = False) -> Reply:
    reason = "stop" if done else "streaming"
    return Reply("id", items=(Item(text, 1.0, reason, index),), done=done)


async def test_mailbox_gives_a_slow_reader_complete_texts() -> None:
    found, deltas, message = AsyncReplies(), Deltas(), ["", ""]
    for index, text in ((0, "first"), (1, "second")):
        for end in range(1, len(text) + 1):
            found.put(0, reply(text[:end], index))
    (items,) = {(await anext(found)).items}
    assert [item.text for item in items] == ["first", "second"]
    found.put(0, Reply("id", items=tuple(Item(item.text + "!", 1.0, "stop", item.index) for item in items)))
    found.put(0, Reply("id", done=True))
    for pieces in (Reply("id", items=items), *[one async for one in found]):
        for delta in deltas.of(pieces):
            message[delta.item.index] += delta.text
    assert message == ["first!", "second!"]


async def test_mailbox_returns_replies_in_the_order_of_arrival() -> None:
    found = AsyncBatch(2)
    found.put(0, reply("a"))
    found.put(1, reply("b", done=True))
    for text in ("ab", "abc"):
        found.put(0, reply(text))
    found.put(0, reply("abcd", done=True))
    assert [(number, one.items[0].text) async for number, one in found] == [(0, "abc"), (1, "b"), (0, "abcd")]


async def test_async_replies_return_text_before_an_error() -> None:
    found = AsyncReplies()
    found.put(0, reply("a"))
    found.put(0, Reply("id", done=True, error=BusyError("full")))
    assert [one.error is None async for one in found] == [True, False]
    batch = AsyncBatch(1)
    batch.put(0, Reply("id", done=True, error=BusyError("full")))
    with pytest.raises(BusyError):
        await anext(batch)


def test_replies_wait_for_another_thread() -> None:
    replies = Replies()
    assert replies.within(0.001) is None
    threading.Timer(0.05, replies.listen, [reply("a", done=True)]).start()
    assert replies.last().items[0].text == "a"


async def test_async_replies_end_after_leave() -> None:
    replies = AsyncReplies()
    asyncio.get_running_loop().call_later(0.01, replies.leave)
    assert [one.items async for one in replies] == [()]
    replies.listen(reply("late", done=True))
    await asyncio.sleep(0.01)
    assert [one async for one in replies] == []
