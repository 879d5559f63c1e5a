"""llama.cpp's protocol, as far as editors need it: `/infill`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_turbopilot.request import Infill
from jupyter_turbopilot.routes.base import JobRoute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jupyter_turbopilot.reply import Reply


class InfillRoute(JobRoute):
    """`POST turbopilot/infill`."""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Fill in the middle."""
        await self.guard(self._infill())

    async def _infill(self) -> None:
        request = self.body(Infill)
        replies = self.replies(request)
        first = await anext(replies)
        if not request.stream:
            while not first.done:
                first = await anext(replies)
            self.set_header("Content-Type", "application/json")
            await self.finish(json.dumps(answer(first, ""), ensure_ascii=False).encode())
            return
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")
        async for event in events(first, replies):
            self.write(b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n")
            await self.flush()
        await self.finish()


async def events(reply: Reply, replies: AsyncIterator[Reply]) -> AsyncIterator[dict[str, Any]]:
    """Turn replies, each of which holds the text so far, into pieces that follow each other."""
    said = ""
    while not reply.done:
        text = reply.items[0].text if reply.items else said
        yield {"content": text[len(said) :], "stop": False, "index": 0}
        said = text
        reply = await anext(replies)
    yield answer(reply, said)


def answer(reply: Reply, said: str) -> dict[str, Any]:
    """Word the last reply as llama.cpp's server does."""
    item = reply.items[0] if reply.items else None
    timings = reply.timings
    evaluated = timings.prompt_tokens - timings.cached_tokens
    return {
        "index": 0,
        "content": item.text[len(said) :] if item else "",
        "stop": True,
        "model": reply.model,
        "tokens_predicted": timings.predicted_tokens,
        "tokens_evaluated": timings.prompt_tokens,
        "tokens_cached": timings.cached_tokens,
        "truncated": False,
        "stop_type": {"length": "limit", "stop": "eos"}.get(item.finish_reason, "limit") if item else "eos",
        "timings": {
            "cache_n": timings.cached_tokens,
            "prompt_n": evaluated,
            "prompt_ms": timings.prompt_ms,
            "predicted_n": timings.predicted_tokens,
            "predicted_ms": timings.predicted_ms,
            "draft_n": timings.drafted_tokens,
            "draft_n_accepted": timings.accepted_tokens,
        },
    }
