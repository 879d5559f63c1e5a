"""Turbopilot's own responses have exactly the fields of their schemas, in order."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jupyter_turbopilot.jupyter.routes.table import loaded
from jupyter_turbopilot.protocol import contract
from jupyter_turbopilot.protocol.errors import EngineError

from ...models.source_server import SourceServer
from ...scripted_engine import ScriptedEngine
from ...waiting import reached
from .conftest import Ask, complete_body, fail_within_stream

TABLE = dict(loaded())


def check(body: bytes, kind: Any) -> Any:
    """Decode a response with its schema and encode it again without a change."""
    read = msgspec.json.decode(body, type=kind)
    assert json.loads(msgspec.json.encode(read)) == json.loads(body)
    return read


def gives(path: str, method: str) -> Any:
    return TABLE[path].endpoints[method].gives


def streams(path: str) -> Any:
    return TABLE[path].endpoints["POST"].streams


async def test_stream_frames_fit_their_schema(ask: Ask, ready: Any) -> None:
    lines = (await ask("complete", complete_body(stream=True))).body.splitlines()
    frames = [check(line, streams("complete")) for line in lines]
    assert frames[-1].done
    assert frames[-1].timings


async def test_failed_stream_ends_with_an_error_of_the_schema(
    ask: Ask, ready: Any, engine: ScriptedEngine
) -> None:
    fail_within_stream(engine, EngineError("It failed."))
    body = complete_body(stream=True, trigger="invoke", eagerness="always", lines="multi")
    first, *_, last = (await ask("complete", body)).body.splitlines()
    frames = [check(line, streams("complete")) for line in (first, last)]
    assert (frames[0].id, bool(frames[0].text)) == (frames[1].id, True)
    assert (frames[1].text, frames[1].finish_reason, frames[1].error.code) == ("", "error", "engine")


async def test_models_fit_their_schema(ask: Ask, ready: Any, tmp_path: Path, tiny_model: Path) -> None:
    adapter = tmp_path / "mine.gguf"
    adapter.write_bytes(tiny_model.read_bytes())
    ready.settings.adapters = [str(adapter)]
    listing = check((await ask("models", method="GET")).body, gives("models", "GET"))
    assert listing.selected == ready.selected
    assert [model.adapters for model in listing.models if model.adapters] == [
        [contract.Adapter(name="mine", bundled=False)]
    ]


async def test_select_and_remove_fit_their_schemas(ask: Ask, ready: Any) -> None:
    selected = await ask("models", {"model": ready.selected})
    assert selected.code == 202
    check(selected.body, gives("models", "POST"))
    removed = await ask("models", {"model": "smollm2-135m"}, method="DELETE")
    assert check(removed.body, gives("models", "DELETE")).freed == 0


async def test_download_progress_fits_its_schema(ask: Ask, pilot: Any, tiny_model: Path) -> None:
    source = SourceServer()
    source.files["/m.gguf"] = tiny_model.read_bytes()
    digest = hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    kind = streams("models/pull")
    try:
        failed = await ask("models/pull", {"model": f"{source.url}/missing.gguf"})
        assert check(failed.body.splitlines()[-1], kind).error
        source.hold.clear()
        spec = f"{source.url}/m.gguf#sha256={digest}"
        running = asyncio.ensure_future(ask("models/pull", {"model": spec, "select": False}))
        await reached(lambda: source.gets("/m.gguf"))
        source.hold.set()
        steps = [check(line, kind) for line in (await running).body.splitlines()]
        assert (steps[-1].phase, steps[-1].done) == ("done", True)
    finally:
        source.stop()
    stopped = await ask("models/pull", {"model": spec}, method="DELETE")
    assert check(stopped.body, gives("models/pull", "DELETE")).stopped is False


@pytest.mark.parametrize(
    ("path", "body"), [("complete", {}), ("models", {"model": ""}), ("infill", {"n_predict": "x"})]
)
async def test_errors_fit_their_schema(ask: Ask, ready: Any, path: str, body: Any) -> None:
    response = await ask(path, body)
    assert response.code == 400
    assert check(response.body, contract.Failure).error.code == "bad_request"
