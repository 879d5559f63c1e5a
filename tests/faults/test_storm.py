"""Disconnects at every stage on every route end the generation, and leave no log line and no task."""

import asyncio
import gc
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from jupyter_turbopilot.jupyter.identity import KeyIdentity
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.jupyter.standalone import application
from jupyter_turbopilot.settings.config import Turbopilot

from ..scripted_engine import ScriptedEngine, pilot_with, words

CELLS = [{"source": "x = "}]
MANY = 1500  # tokens; generating them takes longer than the test waits
BODIES: dict[str, dict[str, Any]] = {
    "complete": {"cells": CELLS, "offset": 4, "stream": True, "max_tokens": MANY, "client": "same"},
    "infill": {"input_prefix": "x = ", "input_suffix": "", "n_predict": MANY, "stream": True},
    "completion": {"prompt": ["a", "b", "c"], "n_predict": MANY, "stream": True},
    "v1/completions": {"prompt": ["a", "b", "c"], "n": 2, "max_tokens": MANY, "stream": True},
    "v1/engines/any/completions": {"prompt": "a", "max_tokens": MANY, "stream": True},
    "api/generate": {"inputs": "a", "parameters": {"max_new_tokens": MANY}, "stream": True},
}
# Bytes of the answer to read before the disconnect; None: disconnect within the request.
MOMENTS = (None, 0, 1, 400)


@pytest.fixture
def pilot(tiny_model: Path, tmp_path: Path) -> Iterator[Pilot]:
    own = tmp_path / "tiny.gguf"
    shutil.copy(tiny_model, own)
    engine = ScriptedEngine(words(MANY), pause=0.005, prompt_pause=0.02)
    found = pilot_with(Turbopilot(model=str(own), deadline=100.0), lambda *_: engine)
    yield found
    found.stop()


async def leave(port: int, route: str, body: dict[str, Any], moment: int | None) -> None:
    """Send a request and disconnect before its end."""
    data = json.dumps(body).encode()
    head = f"POST /{route} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data
    writer.write(request if moment is not None else request[:-5])
    await writer.drain()
    if moment:
        await reader.readexactly(moment)
    else:
        await asyncio.sleep(0.005)
    writer.transport.abort()


async def storm(pilot: Pilot, seen: list[dict[str, Any]]) -> set[Any]:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: seen.append(context))
    server = HTTPServer(application(pilot, KeyIdentity("", "127.0.0.1")))
    socket, port = bind_unused_port(address="127.0.0.1")
    server.add_sockets([socket])
    before = asyncio.all_tasks()
    pilot.start()
    while not pilot.worker.state.ready:
        await asyncio.sleep(0.01)
    for streamed in (True, False):
        for moment in MOMENTS:
            bodies = {route: body | {"stream": streamed} for route, body in BODIES.items()}
            # A response that is not streamed is interrupted before its first byte.
            at = moment if streamed or not moment else 0
            await asyncio.gather(*(leave(port, *pair, at) for pair in bodies.items() for _ in range(2)))
    server.stop()
    await server.close_all_connections()
    for _ in range(500):
        gc.collect()
        left = {task for task in asyncio.all_tasks() - before if not task.done()}
        if not left and not len(pilot.worker._scheduler):
            break
        await asyncio.sleep(0.01)
    assert not len(pilot.worker._scheduler)
    return left


def test_storm_of_disconnects_leaves_no_task_and_no_log_line(
    pilot: Pilot, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    seen: list[dict[str, Any]] = []
    left = asyncio.run(storm(pilot, seen), debug=False)
    gc.collect()
    assert not left
    assert not seen
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert pilot.worker.alive()
