from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.models.catalog import catalog, find
from jupyter_turbopilot.server.describe import describe_health

from ...models.source_server import SourceServer
from .conftest import EngineRequest, complete_body, error_of, lines


@pytest.fixture
def source(tiny_model: Path) -> Iterator[SourceServer]:
    server = SourceServer()
    server.files["/m.gguf"] = tiny_model.read_bytes()
    yield server
    server.stop()


def address(source: SourceServer, tiny_model: Path) -> str:
    return f"{source.url}/m.gguf#sha256={hashlib.sha256(tiny_model.read_bytes()).hexdigest()}"


async def test_pull_streams_progress_and_the_model_completes(
    ask: EngineRequest, pilot: Any, source: SourceServer, tiny_model: Path
) -> None:
    steps = lines(await ask("models/pull", {"model": address(source, tiny_model)}))
    assert steps[-1]["done"]
    assert steps[-1]["phase"] == "done"
    for _ in range(3000):
        if describe_health(pilot)["ready"]:
            break
        await asyncio.sleep(0.01)
    assert (await ask("complete", complete_body())).code == 200


async def test_failed_pull_ends_the_stream_with_the_reason(
    ask: EngineRequest, pilot: Any, source: SourceServer
) -> None:
    last = lines(await ask("models/pull", {"model": f"{source.url}/missing.gguf"}))[-1]
    assert last["done"]
    assert last["error"]["code"] == "download_failed"
    assert last["error"]["status"] == 502
    assert "404" in last["error"]["message"]


async def test_pull_can_be_stopped(
    ask: EngineRequest, pilot: Any, source: SourceServer, tiny_model: Path
) -> None:
    source.hold.clear()
    spec = address(source, tiny_model)
    running = asyncio.ensure_future(ask("models/pull", {"model": spec}))
    while not pilot.library.download_of(find(spec)):
        await asyncio.sleep(0.01)
    stopped = await ask("models/pull", {"model": spec}, method="DELETE")
    source.hold.set()
    assert json.loads(stopped.body) == {"stopped": True}
    assert lines(await running)[-1]["error"]["code"] == "cancelled"
    assert json.loads((await ask("models/pull", {"model": spec}, method="DELETE")).body) == {"stopped": False}


async def test_selecting_a_missing_model_explains_how_to_download_it(ask: EngineRequest, ready: Any) -> None:
    response = await ask("models", {"model": "smollm2-135m"})
    assert response.code == 503
    assert error_of(response)["code"] == "model_missing"


async def test_select_loads_in_the_background(ask: EngineRequest, ready: Any) -> None:
    response = await ask("models", {"model": ready.selected})
    assert response.code == 202
    for _ in range(3000):
        if describe_health(ready)["ready"]:
            break
        await asyncio.sleep(0.01)
    assert (await ask("complete", complete_body())).code == 200


@pytest.mark.parametrize(
    "model", ["", "nonsense", "x/../../y.gguf\r\nforged", "http://example.org/x.gguf", 7]
)
async def test_selecting_an_impossible_model_is_rejected(ask: EngineRequest, ready: Any, model: Any) -> None:
    for path in ("models", "models/pull"):
        response = await ask(path, {"model": model})
        assert response.code in {400, 404}
        assert error_of(response)["field"] == "model"


async def test_damaged_model_is_rejected_and_the_server_keeps_running(
    ask: EngineRequest, ready: Any, tmp_path: Path, tiny_model: Path
) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(tiny_model.read_bytes()[:100_000])
    await ask("models", {"model": str(bad)})
    for _ in range(3000):
        health = json.loads((await ask("health", method="GET")).body)
        if health["phase"] != "loading":
            break
        await asyncio.sleep(0.01)
    # The previous model keeps running, and the notice gives the reason.
    assert health["ready"]
    assert health["code"] == "model_refused"
    assert "bad.gguf" in health["notice"]
    assert str(tmp_path) not in health["notice"]
    assert (await ask("complete", complete_body())).code == 200
    listed = json.loads((await ask("models", method="GET")).body)
    assert listed["selected"] == ready.selected != str(bad)


async def test_model_can_be_deleted_unless_it_is_loaded(
    ask: EngineRequest, ready: Any, models_folder: Path, tiny_model: Path
) -> None:
    stored = models_folder / catalog()["smollm2-360m"].file
    stored.write_bytes(tiny_model.read_bytes())
    size = stored.stat().st_size
    assert json.loads((await ask("models", {"model": "smollm2-360m"}, method="DELETE")).body) == {
        "freed": size
    }
    assert not stored.exists()
    assert json.loads((await ask("models", {"model": "smollm2-360m"}, method="DELETE")).body) == {"freed": 0}
    refused = await ask("models", {"model": ready.selected}, method="DELETE")
    assert refused.code == 400
    assert "in use" in error_of(refused)["message"]
