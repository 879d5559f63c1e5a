"""Waiting for other threads and processes, and free ports."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

SECONDS = 60.0  # independent of the load of the machine


def until(done: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def free_port() -> int:
    """Return a port that no server uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
