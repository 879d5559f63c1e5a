"""Streamed responses: server-sent events, or one JSON object per line."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.protocol.reply import compact

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from jupyter_turbopilot.jupyter.routes.base import Route

NDJSON = "application/x-ndjson"


async def send_events(route: Route, events: AsyncGenerator[dict[str, Any]], last: bytes = b"") -> None:
    """Send server-sent events, then `last`."""
    route.set_header("Content-Type", "text/event-stream")
    route.set_header("Cache-Control", "no-cache")
    await _send(route, events, b"data: %b\n\n", last=last)


async def send_lines(route: Route, frames: AsyncGenerator[Any], failed: dict[str, Any]) -> None:
    """Send one JSON object per line. The last line may be an error with the fields of `failed`."""
    route.set_header("Content-Type", NDJSON)
    await _send(route, frames, b"%b\n", failed)


async def _send(
    route: Route,
    frames: AsyncGenerator[Any],
    line: bytes,
    failed: dict[str, Any] | None = None,
    last: bytes = b"",
) -> None:
    """Send each frame as a line, and an error as the last line.

    Without `failed`, an error before the first line becomes the response instead.
    """
    route.set_header("X-Accel-Buffering", "no")
    try:
        async with aclosing(frames):
            async for frame in frames:
                route.write(line % compact(frame))
                await route.flush()
    except TurbopilotError as error:
        if failed is not None or route._headers_written:  # noqa: SLF001 - tornado has no public name for it
            route.write(line % compact((failed or {}) | route.error_body(error)) + last)
            await route.finish()
        raise
    route.write(last)
    await route.finish()
