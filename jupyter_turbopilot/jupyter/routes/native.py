"""Turbopilot's own protocol: complete, feedback, statistics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec import structs

from jupyter_turbopilot.context.private import is_private_path
from jupyter_turbopilot.jupyter.metrics import OFFER_KINDS
from jupyter_turbopilot.jupyter.routes.admission import admit_completion, real_paths
from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.jupyter.routes.endpoint import CodeEndpoint, Endpoint
from jupyter_turbopilot.jupyter.routes.streams import send_lines
from jupyter_turbopilot.protocol.contract import Answer, Frame
from jupyter_turbopilot.protocol.errors import NotReadyError
from jupyter_turbopilot.protocol.request import Completion, Feedback, parse_completion

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from jupyter_turbopilot.protocol.reply import Reply
    from jupyter_turbopilot.protocol.request import Document


class CompleteRoute(Route):
    """`POST turbopilot/complete`."""

    serves_kernels = True

    @CodeEndpoint(Completion, read=lambda body, _: parse_completion(body), gives=Answer, streams=Frame)
    async def post(self, request: Completion) -> None:
        """Complete at the cursor."""
        completions = await admit_completion(self, request)
        request = structs.replace(request, documents=await self._allowed(request.documents))
        replies = await completions.replies(request)
        reply = await anext(replies)
        if request.stream:
            failed = {"id": reply.id, "done": True, "text": "", "finish_reason": "error"}
            await send_lines(self, _frames(reply, replies), failed)
            return
        while not reply.done:
            reply = await anext(replies)
        if reply.error:
            raise reply.error
        self.answer(Answer.of(reply))

    async def _allowed(self, documents: Sequence[Document]) -> list[Document]:
        """Return the other documents of a request for which completion is allowed."""
        allowed = [document for document in documents if self.pilot.access.allows(document.path)]
        links = (real_paths(self, document.path) for document in allowed)
        found = await asyncio.gather(*links, return_exceptions=True)
        return [
            document
            for document, files in zip(allowed, found, strict=True)
            if not isinstance(files, BaseException) and not any(map(is_private_path, files))
        ]


async def _frames(reply: Reply, replies: AsyncIterator[Reply]) -> AsyncGenerator[Frame]:
    """Turn replies into the lines of a stream."""
    while not reply.done:
        yield Frame.of(reply)
        reply = await anext(replies)
    if reply.error:
        raise reply.error
    yield Frame.of(reply)


class FeedbackRoute(Route):
    """`POST turbopilot/feedback`: the outcome of a suggestion."""

    @Endpoint(Feedback, status=204)
    async def post(self, feedback: Feedback) -> None:
        """Record the outcome of a suggestion. For a fix or an edit, only increment a metric."""
        kind = feedback.id.rpartition("-")[0]
        if kind in OFFER_KINDS:
            self.shared.metrics.count_offer(kind, feedback.event)
        elif feedback.event not in {"applied", "undone"}:
            self.pilot.completer.feedback(feedback)
        await self.finish()


class StatisticsRoute(Route):
    """`DELETE turbopilot/statistics`: reset the statistics of suggestions."""

    @Endpoint(status=204, access="manage", errors=(NotReadyError,))
    async def delete(self) -> None:
        """Reset this week's statistics."""
        if self.pilot.statistics and self.caller.is_owner:
            try:
                await self.run(self.pilot.statistics.reset)
            except OSError as error:
                raise NotReadyError(
                    f"The statistics could not be deleted: {error.strerror or error}.",
                    code="not_deleted",
                ) from None
        await self.finish()
