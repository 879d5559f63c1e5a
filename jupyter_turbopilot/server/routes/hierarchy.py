"""A function written together with the functions that it calls, told a line of JSON at a time.

It never runs what was written: who may complete may not execute.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.bounds import remembering_for
from jupyter_turbopilot.engine.job import STOPPED
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.hierarchy.follow import follow_async
from jupyter_turbopilot.hierarchy.growth import grow
from jupyter_turbopilot.request import Hierarchy
from jupyter_turbopilot.server.routes.contract import HierarchyEvent
from jupyter_turbopilot.server.routes.endpoint import Endpoint
from jupyter_turbopilot.server.routes.native import NotebookRoute

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from jupyter_turbopilot.context.facts import Facts
    from jupyter_turbopilot.hierarchy.event import Event
    from jupyter_turbopilot.reply import Reply
    from jupyter_turbopilot.request import Completion


class HierarchyRoute(NotebookRoute):
    """`POST turbopilot/hierarchy`."""

    @Endpoint(Hierarchy, streams=HierarchyEvent)
    async def post(self, request: Hierarchy) -> None:
        """Write a function and the functions that it calls. Nothing is run."""
        facts = await self.facts(request)
        with remembering_for(self.owner):
            growth = await asyncio.to_thread(grow, request, facts)
            events = follow_async(growth, lambda completion: self._written(completion, facts))
            await self.stream(lines(await anext(events), events))

    async def _written(self, completion: Completion, facts: Facts) -> AsyncGenerator[Reply]:
        """Yield what the model writes; it stops when nobody listens any more."""
        if self._left:
            raise StreamClosedError
        replies = self.replies(completion, facts)
        try:
            async for reply in replies:
                if reply.error:
                    raise reply.error
                yield reply
        finally:
            self.cancel(STOPPED)


async def lines(first: Event, events: AsyncGenerator[Event]) -> AsyncGenerator[dict[str, Any]]:
    """Turn events into the lines of a stream; what goes wrong in the middle is the last of them."""
    async with aclosing(events):
        yield msgspec.to_builtins(first)
        try:
            async for event in events:
                yield msgspec.to_builtins(event)
        except TurbopilotError as error:
            yield {"event": "done"} | error.body()
