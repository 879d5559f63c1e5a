from __future__ import annotations

import ast
import asyncio
import json
import logging
import threading
from typing import Any

import pytest

from jupyter_turbopilot.analysis.resolve import bindings
from jupyter_turbopilot.jupyter import runtime
from jupyter_turbopilot.plugins.functions import function_generator
from jupyter_turbopilot.plugins.functions.route import HelpersRoute
from jupyter_turbopilot.protocol.errors import BusyError

from ...scripted_engine import ScriptedEngine
from ...waiting import reached
from .conftest import Ask, Post, error_of, lines

STUB = {"source": "def total(rows):"}


@pytest.fixture
def engine() -> ScriptedEngine:
    def answer(prompt: str) -> str:
        head = prompt.partition("<|fim_suffix|>")[0].rstrip().replace(">", "\n").rpartition("\n")[2]
        return {"def total(rows):": "return add(rows)"}.get(head, "y = 1\n    return y")

    return ScriptedEngine(answer)


async def test_helpers_streams_events_and_ends_with_the_result(ask: Ask, ready: Any) -> None:
    response = await ask("helpers", STUB)
    assert response.headers["Content-Type"] == "application/x-ndjson"
    events = lines(response)
    assert [(event["event"], event["name"]) for event in events] == [
        ("found", "total"),
        ("writing", "total"),
        ("finished", "total"),
        ("found", "add"),
        ("writing", "add"),
        ("writing", "add"),
        ("finished", "add"),
        ("done", "total"),
    ]
    names = [node.name for node in ast.parse(events[-1]["source"]).body if isinstance(node, ast.FunctionDef)]
    assert names == ["add", "total"]
    assert events[-1]["tokens"] > 0
    assert events[3]["caller"] == "total"
    assert await counted(ask, "completed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"source": "def f("}, "source"),
        ({"source": ""}, "source"),
        ({"source": "x" * 100_000}, "source"),
        ({"source": "Do it.", "language": "r"}, "language"),
        ({"source": "Do it.", "max_tokens": 0}, "max_tokens"),
        ({"source": "Do it.", "names": [1]}, "names[0]"),
    ],
)
async def test_helpers_rejects_invalid_requests_with_their_field(
    ask: Ask, ready: Any, engine: ScriptedEngine, body: dict[str, Any], field: str
) -> None:
    response = await ask("helpers", body)
    assert response.code == 400
    assert error_of(response)["field"] == field
    assert engine.prompts == []


async def test_helpers_knows_cells_and_kernel_names(ask: Ask, ready: Any, engine: ScriptedEngine) -> None:
    body = STUB | {"cells": [{"source": "def add(rows): pass"}], "names": ["other"]}
    events = lines(await ask("helpers", body))
    assert "add" not in [event["name"] for event in events]
    assert "def add(rows): pass" in engine.prompts[0]


async def test_helpers_accepts_the_kernels_secret(ask: Ask, ready: Any, jp_serverapp: Any) -> None:
    (app,) = jp_serverapp.extension_manager.extension_apps["jupyter_turbopilot"]
    secret = {runtime.SECRET_HEADER: app._secret, "Authorization": ""}
    assert (await ask("helpers", STUB, headers=secret)).code == 200


async def test_helpers_stream_ends_with_an_engine_error(ask: Ask, ready: Any, engine: ScriptedEngine) -> None:
    message = engine.answer

    def answer(prompt: str) -> str:
        if "def add(" in prompt:
            raise BusyError("Later.", after=2.4)
        assert callable(message)
        return message(prompt)

    engine.answer = answer
    events = lines(await ask("helpers", STUB))
    assert events[-1]["event"] == "done"
    error = events[-1]["error"]
    assert (error["code"], error["status"], error["retry_after"]) == ("busy", 429, 3)
    assert "finished" in [event["event"] for event in events]


async def test_helpers_error_before_the_first_event_has_its_status(
    ask: Ask, ready: Any, engine: ScriptedEngine
) -> None:
    def answer(prompt: str) -> str:
        raise BusyError("Later.", after=2.4)

    engine.answer = answer
    response = await ask("helpers", {"source": "# Add the rows."})
    assert (response.code, response.headers["Retry-After"]) == (429, "3")
    assert error_of(response)["code"] == "busy"


async def test_helpers_disconnect_cancels_all_generation(
    post: Post, jp_serverapp: Any, ready: Any, engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.answer, engine.pause = "x = 1\n    " * 200, 0.01
    jp_serverapp.log.propagate = True
    reader, writer = await post("helpers", STUB)
    while b"x = 1" not in await reader.readline():
        pass
    writer.transport.abort()
    await reached(lambda: ready.worker.state.phase != "generating")
    assert len(engine.prompts) == 1
    assert not [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


async def test_helpers_executes_no_code(ask: Ask, ready: Any, engine: ScriptedEngine, tmp_path: Any) -> None:
    mark = tmp_path / "ran"
    engine.answer = f"open({str(mark)!r}, 'w')"
    source = f"def f():\n    '''\n    >>> open({str(mark)!r}, 'w')\n    '''"
    events = lines(await ask("helpers", {"source": source}))
    assert json.dumps(str(mark))[1:-1] in events[-1]["source"]
    assert not mark.exists()


# Limits of callers ----------------------------------------------------------------------------------

COMPLETE = {"source": "def f():\n    return 1"}  # needs no generation


async def counted(ask: Ask, outcome: str) -> bool:
    metrics = (await ask("metrics", method="GET")).body.decode()
    return f'outcome="{outcome}",route="helpers"}}' in metrics


async def metrics_of(ask: Ask) -> list[str]:
    return [
        line.partition("{")[2] for line in (await ask("metrics", method="GET")).body.decode().splitlines()
    ]


async def test_helpers_counts_refusals_once(ask: Ask, ready: Any) -> None:
    ready.settings.requests_per_minute = 1
    assert (await ask("helpers", STUB | {"enabled": False})).code == 403
    assert lines(await ask("helpers", STUB))[-1]["error"]["code"] == "too_many_requests"
    counts = await metrics_of(ask)
    assert 'code="disabled_in_notebook",outcome="failed",route="helpers"} 1.0' in counts
    for name in ("helpers", "helpers_completion"):
        assert f'code="too_many_requests",outcome="refused",route="{name}"}} 1.0' in counts


async def test_helpers_stops_parsing_at_a_disconnect(
    ask: Ask, post: Post, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsing, gone, seen = threading.Event(), threading.Event(), []

    def slow(source: str) -> frozenset[str]:
        seen.append(source)
        parsing.set()
        gone.wait(30)
        return bindings(source)

    monkeypatch.setattr(function_generator, "bindings", slow)
    left, close = asyncio.Event(), HelpersRoute.on_connection_close

    def closed(route: HelpersRoute) -> None:
        close(route)
        left.set()

    monkeypatch.setattr(HelpersRoute, "on_connection_close", closed)
    _, writer = await post("helpers", COMPLETE | {"cells": [{"source": f"x = {n}"} for n in range(20)]})
    await asyncio.to_thread(parsing.wait, 30)
    writer.transport.abort()
    await left.wait()
    gone.set()
    async with asyncio.timeout(30):
        while not await counted(ask, "disconnected"):
            await asyncio.sleep(0.01)
    assert len(seen) <= 2  # the code above the stub, which may be cached, and a cell
