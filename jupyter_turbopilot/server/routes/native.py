"""Turbopilot's own protocol: complete, hierarchy, feedback."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from jupyter_core.utils import ensure_async
from tornado import web
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.bounds import tenant_cache
from jupyter_turbopilot.context.kernel_context import NONE, KernelContext
from jupyter_turbopilot.context.notebook_file import names_of
from jupyter_turbopilot.context.private import is_private_path
from jupyter_turbopilot.engine.job import DISCONNECTED, STOPPED
from jupyter_turbopilot.errors import BusyError, NotReadyError, TurbopilotError
from jupyter_turbopilot.helper_functions.follow import follow_async
from jupyter_turbopilot.helper_functions.generate import generate_functions
from jupyter_turbopilot.request import Completion, Feedback, Hierarchy, parse_completion
from jupyter_turbopilot.server.routes.base import Route
from jupyter_turbopilot.server.routes.contract import Answer, Frame, HierarchyEvent
from jupyter_turbopilot.server.routes.endpoint import Endpoint
from jupyter_turbopilot.server.routes.jobs import JobRoute

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from jupyter_turbopilot.context.kernel_context import KernelContext
    from jupyter_turbopilot.helper_functions.event import Event
    from jupyter_turbopilot.reply import Reply

AT_ONCE = 2  # concurrent hierarchy requests per caller


class NotebookRoute(JobRoute):
    """Base class of routes that use kernel context."""

    async def kernel_context(self, request: Completion | Hierarchy) -> KernelContext:
        """Return the kernel context of the notebook, for callers who may run code in the kernel."""
        kernels, name = self.pilot.kernels, request.kernel_id
        if not kernels or not name or is_private_path(request.path):
            return NONE
        if not await self.may("execute", "kernels"):
            return NONE
        try:
            session = await ensure_async(self.settings["session_manager"].get_session(kernel_id=name))
        except web.HTTPError:
            return NONE  # a kernel without a session
        if {*names_of(str(session.get("path")))}.isdisjoint(names_of(request.path)):
            return NONE
        return kernels.kernel_context(name)


class CompleteRoute(NotebookRoute):
    """`POST turbopilot/complete`."""

    @Endpoint(Completion, read=lambda body, _: parse_completion(body), gives=Answer, streams=Frame)
    async def post(self, request: Completion) -> None:
        """Complete at the cursor."""
        notebook_index = await self.notebook_index() if request.notebook_index else None
        replies = self.replies(request, await self.kernel_context(request), notebook_index)
        reply = await anext(replies)
        if request.stream:
            failed = {"id": reply.id, "done": True, "text": "", "finish_reason": "error"}
            await self.stream(_frames(reply, replies), failed)
            return
        while not reply.done:
            reply = await anext(replies)
        if reply.error:
            raise reply.error
        self.answer(reply.body())


async def _frames(reply: Reply, replies: AsyncIterator[Reply]) -> AsyncGenerator[dict[str, Any]]:
    """Turn replies into the lines of a stream."""
    while not reply.done:
        yield reply.frame()
        reply = await anext(replies)
    if reply.error:
        raise reply.error
    yield reply.frame()


class FeedbackRoute(Route):
    """`POST turbopilot/feedback`: the outcome of a suggestion; `DELETE` deletes what was learned."""

    @Endpoint(Feedback, status=204)
    async def post(self, feedback: Feedback) -> None:
        """Record the outcome of a suggestion, and learn from it."""
        self.pilot.completer.feedback(feedback)
        await self.finish()

    @Endpoint(status=204, access="manage", errors=(NotReadyError,))
    async def delete(self) -> None:
        """Delete what was learned from feedback."""
        learner = self.pilot.completer.learner
        if learner and self.is_learned_from:
            try:
                await self.pilot.background.run(learner.forget)
            except OSError as error:
                raise NotReadyError(
                    f"The data learned from feedback could not be deleted: {error.strerror or error}.",
                    code="not_deleted",
                ) from None
        await self.finish()


class HierarchyRoute(NotebookRoute):
    """`POST turbopilot/helpers`."""

    name = "hierarchy_question"  # in the metrics: `replies` counts each completion

    @Endpoint(Hierarchy, streams=HierarchyEvent)
    async def post(self, request: Hierarchy) -> None:
        """Generate a function and the functions that it calls. No generated code is executed."""
        outcome = "error"
        try:
            with self._admitted(), tenant_cache(self.tenant):
                kernel_context = await self.kernel_context(request)
                growth = await self.parse(generate_functions, request, kernel_context, proceed=self.proceed)
                events = follow_async(
                    growth, lambda completion: self._generate(completion, kernel_context), self.parse
                )
                await self.stream(_lines(await anext(events), events), {"event": "done"})
            outcome = "answered"
        except TurbopilotError as error:
            outcome = error.code
            raise
        except StreamClosedError:
            outcome = DISCONNECTED
            raise
        finally:
            self.metrics.count("hierarchy", outcome)

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Charge the caller by the size of the body, and limit its concurrent requests."""
        running: Counter[str] = self.settings.setdefault("turbopilot_hierarchies", Counter())
        if running[self.caller] >= AT_ONCE:
            raise BusyError(
                f"{AT_ONCE} of your hierarchy requests are running. Try again when one has ended.",
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

    async def _generate(self, completion: Completion, kernel_context: KernelContext) -> AsyncGenerator[Reply]:
        """Yield the replies to a completion request."""
        self.proceed()
        replies = self.replies(completion, kernel_context)
        try:
            async for reply in replies:
                if reply.error:
                    raise reply.error
                yield reply
        finally:
            self.cancel(STOPPED)


async def _lines(first: Event, events: AsyncGenerator[Event]) -> AsyncGenerator[dict[str, Any]]:
    """Turn events into the lines of a stream."""
    async with aclosing(events):
        yield msgspec.to_builtins(first)
        async for event in events:
            yield msgspec.to_builtins(event)
