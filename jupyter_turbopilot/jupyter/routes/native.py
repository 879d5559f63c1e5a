"""Turbopilot's own protocol: complete, helpers, feedback."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import msgspec
from jupyter_core.utils import ensure_async
from tornado import web

from jupyter_turbopilot.context.kernel_context import NONE, KernelContext
from jupyter_turbopilot.context.private import is_private_path
from jupyter_turbopilot.jupyter.metrics import OFFER_KINDS
from jupyter_turbopilot.jupyter.routes.base import DISK_SECONDS, Route
from jupyter_turbopilot.jupyter.routes.endpoint import Endpoint
from jupyter_turbopilot.jupyter.routes.jobs import WINDOW, JobRoute, is_awaited
from jupyter_turbopilot.jupyter.saved_switch import SavedSwitches
from jupyter_turbopilot.protocol.contract import Answer, Frame
from jupyter_turbopilot.protocol.errors import DisabledError, NotReadyError, TooComplexError
from jupyter_turbopilot.protocol.request import (
    Completion,
    Feedback,
    parse_completion,
)
from jupyter_turbopilot.settings.access import UNCHECKED
from jupyter_turbopilot.suggestion.members import member_at
from jupyter_turbopilot.util.notebook_file import equivalent_paths

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from jupyter_turbopilot.protocol.reply import Reply
    from jupyter_turbopilot.protocol.request import Document


T = TypeVar("T")

DISABLED_IN_NOTEBOOK = "Suggestions are off in this notebook. Choose Settings, Turbopilot, Turn On."


class NotebookRequest(Protocol):
    """A request for a notebook."""

    @property
    def path(self) -> str:
        """The path of the notebook or file on the server."""

    @property
    def kernel_id(self) -> str | None:
        """The kernel of the notebook."""

    @property
    def enabled(self) -> bool | None:
        """Whether the notebook's metadata allow suggestions; None if they are unknown."""


class NotebookRoute(JobRoute):
    """Base class of routes whose requests are for a notebook and may use kernel context."""

    def admit_content(self, request: NotebookRequest) -> None:
        """Raise a DisabledError if the content of the request shows that completion is disabled.

        This is cheap, so call it before you charge the caller: a rate limit would hide the reason.
        """
        access = self.pilot.access
        access.require_enabled()
        if request.path or not request.kernel_id:
            access.check(request.path)
        if request.enabled is False:
            raise DisabledError(DISABLED_IN_NOTEBOOK, code="disabled_in_notebook")

    async def admit(self, request: NotebookRequest) -> None:
        """Raise a DisabledError if the administrator or the saved notebook disables completion.

        The paths of the kernel's sessions count, too: the one in the request may be wrong. A page knows the
        metadata before they are saved. For other clients, the server reads the saved notebook. That may be
        expensive, so charge the caller before.
        """
        access = self.pilot.access
        is_unknown = request.enabled is None
        if request.kernel_id and (access.denied or is_unknown):
            self.paths = await session_paths(self.settings.get("session_manager"), request.kernel_id)
        readable = self.paths
        self.paths = (*self.paths, request.path)
        access.check(*self.paths)
        await asyncio.gather(*(self._check_links(path) for path in self.paths if path))
        if is_unknown:
            if await self.may("read", "contents"):
                readable = self.paths
            if not all([await self._switches.is_enabled(path, self.caller) for path in readable]):
                raise DisabledError(DISABLED_IN_NOTEBOOK, code="disabled_in_notebook")

    async def _check_links(self, path: str) -> None:
        """Raise a DisabledError unless completion is allowed for the file that a path leads to."""
        access = self.pilot.access
        if access.denied:
            following = self.pilot.disk.run(self.caller, ("links", path), access.check_file, path)
            try:
                await asyncio.wait_for(following, DISK_SECONDS)
            except TimeoutError:
                raise DisabledError(UNCHECKED) from None

    async def allowed_documents(self, request: Completion) -> list[Document]:
        """Return the other documents of a request for which completion is allowed."""
        allowed = [document for document in request.documents if self.pilot.access.allows(document.path)]
        checks = (self._check_links(document.path) for document in allowed)
        errors = await asyncio.gather(*checks, return_exceptions=True)
        return [document for document, error in zip(allowed, errors, strict=True) if not error]

    @property
    def _switches(self) -> SavedSwitches:
        """The switches in the saved notebooks of this server."""
        switches = SavedSwitches(self.settings.get("contents_manager"), self.pilot.disk)
        return cast("SavedSwitches", self.settings.setdefault("turbopilot_switches", switches))

    async def kernel_context(self, request: NotebookRequest) -> KernelContext:
        """Return the kernel context of the notebook, for callers who may run code in the kernel.

        The context of an R kernel consists of the members of the object at the cursor.
        """
        kernels, name = self.pilot.kernels, await self.allowed_kernel(request)
        if not kernels or not name:
            return NONE
        if isinstance(request, Completion) and request.language == "r":
            with suppress(TooComplexError):
                if member := await self.parse(member_at, request):
                    return await kernels.members(name, "r", member.code)
        return kernels.kernel_context(name)

    async def allowed_kernel(self, request: NotebookRequest) -> str | None:
        """Return the kernel of the notebook if the server may query it for the caller."""
        name = request.kernel_id
        if not self.pilot.kernels or not name or is_private_path(request.path):
            return None
        if not await self.may("execute", "kernels"):
            return None
        try:
            session = await ensure_async(self.settings["session_manager"].get_session(kernel_id=name))
        except web.HTTPError:
            return None  # a kernel without a session
        if {*equivalent_paths(str(session.get("path")))}.isdisjoint(equivalent_paths(request.path)):
            return None
        return name


class CompleteRoute(NotebookRoute):
    """`POST turbopilot/complete`."""

    serves_kernels = True
    uncharged = 2 * WINDOW  # the active cell, of which a character may have three bytes, and the others

    @Endpoint(Completion, read=lambda body, _: parse_completion(body), gives=Answer, streams=Frame)
    async def post(self, request: Completion) -> None:
        """Complete at the cursor."""
        self.admit_content(request)
        self.charge(awaited=is_awaited(request))
        await self.admit(request)
        request = msgspec.structs.replace(request, documents=await self.allowed_documents(request))
        notebook_index = await self.notebook_index() if request.notebook_index else None
        context = await self.kernel_context(request)
        replies = await self.replies(request, context, notebook_index, is_charged=True)
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


async def session_paths(manager: Any, kernel_id: str) -> tuple[str, ...]:
    """Return the paths of all sessions with a kernel: several notebooks and consoles may share one."""
    if manager is None:
        return ()
    sessions = await ensure_async(manager.list_sessions())
    return tuple(
        str(session.get("path"))
        for session in sessions
        if (session.get("kernel") or {}).get("id") == kernel_id
    )


class FeedbackRoute(Route):
    """`POST turbopilot/feedback`: the outcome of a suggestion."""

    @Endpoint(Feedback, status=204)
    async def post(self, feedback: Feedback) -> None:
        """Record the outcome of a suggestion. For a fix or an edit, only increment a metric."""
        kind = feedback.id.rpartition("-")[0]
        if kind in OFFER_KINDS:
            self.metrics.count_offer(kind, feedback.event)
        elif feedback.event not in {"applied", "undone"}:
            self.pilot.completer.feedback(feedback)
        await self.finish()


class StatisticsRoute(Route):
    """`DELETE turbopilot/statistics`: reset the statistics of suggestions."""

    @Endpoint(status=204, access="manage", errors=(NotReadyError,))
    async def delete(self) -> None:
        """Reset this week's statistics."""
        if self.pilot.statistics and self.is_owner:
            try:
                await self.run(self.pilot.statistics.reset)
            except OSError as error:
                raise NotReadyError(
                    f"The statistics could not be deleted: {error.strerror or error}.",
                    code="not_deleted",
                ) from None
        await self.finish()
