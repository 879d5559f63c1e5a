"""Waiting for other threads, processes and runs, and free ports."""

import asyncio
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from jupyter_turbopilot.engine.cancel import Cancel

SECONDS = 60.0  # independent of the load of the machine


def until(done: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


async def reached(done: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until a condition holds, while the event loop continues."""
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.01)


def end_terminal(terminal: Any) -> None:
    """End the program in a pseudo-terminal; `close(force=True)` fails if that takes more than 0.1 s."""
    terminal.kill(signal.SIGKILL)
    until(lambda: not terminal.isalive())
    terminal.close()


def generated(engine: Any, *runs: Any) -> list[list[Any]]:
    """Step until all runs of an engine are done; release them, and return their tokens."""
    while left := [run for run in runs if not run.done]:
        engine.step(left, Cancel())
    for run in runs:
        engine.release(run)
    return [run.fresh for run in runs]


def finish(engine: Any, *runs: Any) -> list[bytes]:
    """Step until all runs of an engine are done; release them, and return their texts."""
    return [b"".join(token.data for token in tokens) for tokens in generated(engine, *runs)]


def free_port() -> int:
    """Return a port that no server uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
