"""A function written together with the functions that it calls, told a line of JSON at a time.

It never runs what was written: who may complete may not execute.
"""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.bounds import remembering_for
from jupyter_turbopilot.engine.job import DISCONNECTED, STOPPED
from jupyter_turbopilot.errors import BusyError, TurbopilotError
from jupyter_turbopilot.hierarchy.follow import follow_async
from jupyter_turbopilot.hierarchy.growth import grow
from jupyter_turbopilot.request import Hierarchy
from jupyter_turbopilot.server.routes.contract import HierarchyEvent
from jupyter_turbopilot.server.routes.endpoint import Endpoint
from jupyter_turbopilot.server.routes.native import NotebookRoute

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from jupyter_turbopilot.context.facts import Facts
    from jupyter_turbopilot.hierarchy.event import Event
    from jupyter_turbopilot.reply import Reply
    from jupyter_turbopilot.request import Completion

AT_ONCE = 2  # requests of one caller


class HierarchyRoute(NotebookRoute):
    """`POST turbopilot/hierarchy`."""

    name = "hierarchy_question"  # in the metrics: `replies` counts each question to the model

    @Endpoint(Hierarchy, streams=HierarchyEvent)
    async def post(self, request: Hierarchy) -> None:
        """Write a function and the functions that it calls. Nothing is run."""
        self._outcome = ""
        try:
            with self._admitted(), remembering_for(self.owner):
                await self._answer(request)
            self._outcome = self._outcome or "answered"
        except TurbopilotError as error:
            self._outcome = error.code
            raise
        except StreamClosedError:
            self._outcome = DISCONNECTED
            raise
        finally:
            self.metrics.count("hierarchy", self._outcome or "error")

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Charge the caller by the size of the body, and count its requests that run."""
        running: Counter[str] = self.settings.setdefault("turbopilot_hierarchies", Counter())
        if running[self.caller] >= AT_ONCE:
            raise BusyError(
                f"{AT_ONCE} of your requests for functions are running. Try again when one has ended.",
                code="too_many_waiting",
            )
        self.charge_body()
        running[self.caller] += 1
        try:
            yield
        finally:
            running[self.caller] -= 1
            if not running[self.caller]:
                del running[self.caller]

    async def _answer(self, request: Hierarchy) -> None:
        facts = await self.facts(request)
        growth = await self.parse(grow, request, facts, proceed=self.proceed)
        events = follow_async(growth, lambda completion: self._written(completion, facts), self.parse)
        await self.stream(self._lines(await anext(events), events))

    async def _lines(self, first: Event, events: AsyncGenerator[Event]) -> AsyncGenerator[dict[str, Any]]:
        """Turn events into the lines of a stream; an error in the middle is the last of them."""
        async with aclosing(events):
            yield msgspec.to_builtins(first)
            try:
                async for event in events:
                    yield msgspec.to_builtins(event)
            except TurbopilotError as error:
                self._outcome = error.code
                yield {"event": "done"} | error.body()

    async def _written(self, completion: Completion, facts: Facts) -> AsyncGenerator[Reply]:
        """Yield what the model writes."""
        self.proceed()
        replies = self.replies(completion, facts)
        try:
            async for reply in replies:
                if reply.error:
                    raise reply.error
                yield reply
        finally:
            self.cancel(STOPPED)
