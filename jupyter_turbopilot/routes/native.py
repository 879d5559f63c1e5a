"""Our own protocol: complete, feedback, health."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from tornado import web
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.engine.worker import DISCONNECTED, Job
from jupyter_turbopilot.request import Feedback, parse_completion
from jupyter_turbopilot.routes.base import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jupyter_turbopilot.completer import Reply


class CompleteRoute(Route):
    """`POST turbopilot/complete`."""

    _job: Job | None = None

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Complete at the cursor."""
        await self.guard(self._complete())

    async def _complete(self) -> None:
        request = parse_completion(self.raw_body())
        if self.pilot.worker.state.phase == "empty":
            self.pilot.start()  # `load_at_start` is off: the first request finds it loading
        loop = asyncio.get_running_loop()
        replies: asyncio.Queue[Reply] = asyncio.Queue()

        def listener(reply: Reply) -> None:
            with suppress(RuntimeError):  # the loop has ended: nobody listens any more
                loop.call_soon_threadsafe(replies.put_nowait, reply)

        self._job = self.pilot.completer.submit(request, listener)
        first = await self._next(replies)
        if request.stream:
            with suppress(StreamClosedError):
                await self.stream(self._frames(first, replies))
            return
        while not first.done:
            first = await self._next(replies)
        self.set_header("Content-Type", "application/json")
        await self.finish(json.dumps(first.body(), ensure_ascii=False).encode())

    @staticmethod
    async def _next(replies: asyncio.Queue[Reply]) -> Reply:
        reply = await replies.get()
        if reply.error:
            raise reply.error
        return reply

    async def _frames(self, reply: Reply, replies: asyncio.Queue[Reply]) -> AsyncIterator[dict[str, Any]]:
        while not reply.done:
            yield reply.frame()
            reply = await replies.get()
        if reply.error:
            yield {"id": reply.id, "done": True, "text": "", "finish_reason": "error"} | reply.error.body()
        else:
            yield reply.frame()

    def on_connection_close(self) -> None:
        """Stop working for somebody who has gone."""
        if self._job:
            self._job.cancel.set(DISCONNECTED)
        super().on_connection_close()


class FeedbackRoute(Route):
    """`POST turbopilot/feedback`: counters, no text."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Count what became of a suggestion."""
        await self.guard(self._count())

    async def _count(self) -> None:
        self.pilot.completer.feedback(self.body(Feedback).event)
        self.set_status(204)
        await self.finish()


class HealthRoute(Route):
    """`GET turbopilot/health`: live, ready, and why not."""

    _track_activity = False  # a status bar that looks is no reason to keep an idle server

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Tell how we are."""
        self.set_header("Content-Type", "application/json")
        await self.finish(json.dumps(self.pilot.health()))
