"""Our own protocol: complete, feedback, health."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_core.utils import ensure_async
from tornado import web

from jupyter_turbopilot.context.facts import NONE, Facts
from jupyter_turbopilot.context.notebook_file import names_of
from jupyter_turbopilot.context.private import is_private_path
from jupyter_turbopilot.errors import NotReadyError
from jupyter_turbopilot.request import Completion, Feedback, Hierarchy, parse_completion
from jupyter_turbopilot.server.describe import describe_health
from jupyter_turbopilot.server.routes.base import Route
from jupyter_turbopilot.server.routes.contract import Answer, Frame, Health
from jupyter_turbopilot.server.routes.endpoint import Endpoint
from jupyter_turbopilot.server.routes.jobs import JobRoute

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from jupyter_turbopilot.reply import Reply


class NotebookRoute(JobRoute):
    """A route that may use what a notebook's kernel holds."""

    async def facts(self, request: Completion | Hierarchy) -> Facts:
        """Return what the notebook's kernel holds, for somebody who may run code in it."""
        kernels, name = self.pilot.kernels, request.kernel_id
        if not kernels or not name or is_private_path(request.path):
            return NONE
        sessions = self.settings["session_manager"]
        try:
            allowed = await ensure_async(
                self.authorizer.is_authorized(self, self.current_user, "execute", "kernels")
            )
            session = await ensure_async(sessions.get_session(kernel_id=name)) if allowed else {}
        except web.HTTPError:
            return NONE  # nobody's kernel
        if not allowed or {*names_of(str(session.get("path")))}.isdisjoint(names_of(request.path)):
            return NONE
        return kernels.facts(name)


class CompleteRoute(NotebookRoute):
    """`POST turbopilot/complete`."""

    @Endpoint(Completion, read=lambda body, _: parse_completion(body), gives=Answer, streams=Frame)
    async def post(self, request: Completion) -> None:
        """Complete at the cursor."""
        memory = await self.memory() if request.memory else None
        replies = self.replies(request, await self.facts(request), memory)
        reply = await anext(replies)
        if request.stream:
            await self.stream(frames(reply, replies))
            return
        while not reply.done:
            reply = await anext(replies)
        if reply.error:
            raise reply.error
        self.answer(reply.body())


async def frames(reply: Reply, replies: AsyncIterator[Reply]) -> AsyncGenerator[dict[str, Any]]:
    """Turn replies into the lines of a stream."""
    while not reply.done:
        yield reply.frame()
        reply = await anext(replies)
    if reply.error:
        yield {"id": reply.id, "done": True, "text": "", "finish_reason": "error"} | reply.error.body()
    else:
        yield reply.frame()


class FeedbackRoute(Route):
    """`POST turbopilot/feedback`: what became of a suggestion, in numbers; `DELETE` forgets it."""

    @Endpoint(Feedback, status=204)
    async def post(self, feedback: Feedback) -> None:
        """Count what happened to a suggestion, and learn from it."""
        self.pilot.completer.feedback(feedback)
        await self.finish()

    @Endpoint(status=204, access="manage", errors=(NotReadyError,))
    async def delete(self) -> None:
        """Forget what was learned from feedback."""
        learner = self.pilot.completer.learner
        if learner and self.is_learned_from:
            try:
                await self.pilot.background.run(learner.forget)
            except OSError as error:
                raise NotReadyError(
                    f"What was learned could not be deleted: {error.strerror or error}.", code="not_deleted"
                ) from None
        await self.finish()


class HealthRoute(Route):
    """`GET turbopilot/health`: live, ready, and why not."""

    _track_activity = False  # a status bar that looks is no reason to keep an idle server

    @Endpoint(gives=Health)
    async def get(self) -> None:
        """Return whether the server is ready to complete, and if not, why."""
        self.answer(
            describe_health(self.pilot, await self.memory(), own=self.is_learned_from, logged=self.is_logged)
        )
