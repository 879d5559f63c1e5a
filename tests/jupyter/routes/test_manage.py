from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.index.local_files import LocalFiles
from jupyter_turbopilot.index.reader import MaintainedIndex
from jupyter_turbopilot.index.store import IndexStore
from jupyter_turbopilot.jupyter.describe import describe_health
from jupyter_turbopilot.models.catalog import catalog, find
from jupyter_turbopilot.protocol.errors import NotReadyError

from ...index.folders import known, until
from ...index.notebooks import write
from ...models.source_server import SourceServer
from ...waiting import reached
from .conftest import Ask, Named, complete_body, error_of, lines


@pytest.fixture
def source(tiny_model: Path) -> Iterator[SourceServer]:
    server = SourceServer()
    server.files["/m.gguf"] = tiny_model.read_bytes()
    yield server
    server.stop()


def address(source: SourceServer, tiny_model: Path) -> str:
    return f"{source.url}/m.gguf#sha256={hashlib.sha256(tiny_model.read_bytes()).hexdigest()}"


async def test_pull_streams_progress_and_the_model_completes(
    ask: Ask, pilot: Any, source: SourceServer, tiny_model: Path
) -> None:
    steps = lines(await ask("models/pull", {"model": address(source, tiny_model)}))
    assert steps[-1]["done"]
    assert steps[-1]["phase"] == "done"
    await reached(lambda: describe_health(pilot)["ready"])
    assert (await ask("complete", complete_body())).code == 200


async def test_failed_pull_ends_the_stream_with_the_reason(
    ask: Ask, pilot: Any, source: SourceServer
) -> None:
    last = lines(await ask("models/pull", {"model": f"{source.url}/missing.gguf"}))[-1]
    assert last["done"]
    assert last["error"]["code"] == "download_failed"
    assert last["error"]["status"] == 502
    assert "404" in last["error"]["message"]


async def test_pull_can_be_stopped(ask: Ask, pilot: Any, source: SourceServer, tiny_model: Path) -> None:
    source.hold.clear()
    spec = address(source, tiny_model)
    running = asyncio.ensure_future(ask("models/pull", {"model": spec}))
    await reached(lambda: pilot.library.download_of(find(spec)))
    stopped = await ask("models/pull", {"model": spec}, method="DELETE")
    source.hold.set()
    assert json.loads(stopped.body) == {"stopped": True}
    assert lines(await running)[-1]["error"]["code"] == "cancelled"
    assert json.loads((await ask("models/pull", {"model": spec}, method="DELETE")).body) == {"stopped": False}


async def test_selecting_a_missing_model_explains_how_to_download_it(ask: Ask, ready: Any) -> None:
    response = await ask("models", {"model": "smollm2-135m"})
    assert response.code == 503
    assert error_of(response)["code"] == "model_missing"


async def test_damaged_model_is_rejected_and_the_server_keeps_running(
    ask: Ask, ready: Any, tmp_path: Path, tiny_model: Path
) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(tiny_model.read_bytes()[:100_000])
    await ask("models", {"model": str(bad)})
    await reached(lambda: describe_health(ready)["phase"] != "loading")
    health = json.loads((await ask("health", method="GET")).body)
    # The previous model keeps running, and the notice gives the reason.
    assert health["ready"]
    assert health["code"] == "model_refused"
    assert "bad.gguf" in health["notice"]
    assert str(tmp_path) not in health["notice"]
    assert (await ask("complete", complete_body())).code == 200
    listed = json.loads((await ask("models", method="GET")).body)
    assert listed["selected"] == ready.selected != str(bad)


async def test_model_can_be_deleted_unless_it_is_loaded(
    ask: Ask, ready: Any, models_folder: Path, tiny_model: Path
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


@pytest.fixture
def index(pilot: Any, tmp_path: Path) -> Iterator[MaintainedIndex]:
    """The server's index of a folder with one notebook."""
    write(tmp_path / "work", "a.ipynb", "frobnicate(1)")
    with closing(pilot.remember(LocalFiles(tmp_path / "work"))) as notebook_index:
        until(lambda: known(notebook_index.builder.path) == {"a.ipynb"})
        yield notebook_index


async def test_deleted_index_stays_empty_until_it_is_built_again(ask: Ask, index: MaintainedIndex) -> None:
    place = index.builder.path
    for _ in range(2):
        deleted = await ask("index", method="DELETE")
        assert (deleted.code, known(place)) == (200, set())
        assert json.loads(deleted.body)["notebook_index"]["error"] == "it was deleted in JupyterLab"
    assert b"frobnicate" not in place.read_bytes()
    with closing(MaintainedIndex(index.source)) as next_server:
        next_server.builder.start()
        until(lambda: next_server.builder.progress.error)
    assert known(place) == set()
    for _ in range(2):
        response = await ask("index")
        assert (response.code, json.loads(response.body)["notebook_index"]["error"]) == (202, None)
    until(lambda: known(place) == {"a.ipynb"})


async def test_deleting_the_index_stops_a_running_build(ask: Ask, pilot: Any, tmp_path: Path) -> None:
    begun, proceed = threading.Event(), threading.Event()

    class Slow(LocalFiles):
        def read(self, path: str) -> str:
            begun.set()
            proceed.wait()
            return super().read(path)

    write(tmp_path / "work", "a.ipynb", "frobnicate(1)")
    with closing(pilot.remember(Slow(tmp_path / "work"))) as notebook_index:
        await asyncio.to_thread(begun.wait)
        assert (await ask("index", method="DELETE")).code == 200
        proceed.set()
        until(lambda: "turbopilot-index" not in {thread.name for thread in threading.enumerate()})
        assert known(notebook_index.builder.path) == set()
        assert notebook_index.builder.progress.error


@pytest.mark.parametrize("method", ["DELETE", "POST"])
async def test_collaborators_and_readers_may_not_change_the_index(
    ask: Ask, index: MaintainedIndex, jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def may(_: Any, __: Any, ___: Any, action: str, resource: str) -> bool:
        return (action, resource) != ("write", "contents")

    with monkeypatch.context() as patch:
        patch.setattr(type(jp_serverapp.authorizer), "is_authorized", may)
        assert (await ask("index", method=method)).code == 403
    monkeypatch.setitem(jp_serverapp.web_app.settings, "identity_provider", Named(parent=jp_serverapp))
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    assert (await ask("index", method=method, headers={"X-Who": "bob"})).code == 403
    assert known(index.builder.path) == {"a.ipynb"}
    assert (await ask("index", method=method, headers={"X-Who": "ada"})).code in {200, 202}


async def test_failed_deletion_is_reported_and_indexing_continues(
    ask: Ask, index: MaintainedIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(IndexStore, "clear", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        response = await ask("index", method="DELETE")
    assert (response.code, error_of(response)["code"]) == (503, "not_deleted")
    assert "No space left" in error_of(response)["message"]
    write(tmp_path / "work", "b.ipynb", "settle(2)")
    index.builder.changed("b.ipynb")
    until(lambda: known(index.builder.path) == {"a.ipynb", "b.ipynb"})


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        ("health", "GET", None),
        ("models", "GET", None),
        ("v1/models", "GET", None),
        ("complete", "POST", complete_body()),
        ("v1/completions", "POST", {"prompt": "x"}),
    ],
)
async def test_requests_are_answered_while_the_models_folder_does_not_answer(
    ask: Ask, pilot: Any, monkeypatch: pytest.MonkeyPatch, path: str, method: str, body: Any
) -> None:
    pilot.worker.set_error("missing", NotReadyError("It is missing.", code="model_missing"))
    responds, threads = threading.Event(), list[int]()

    def stuck(_: Any) -> None:
        threads.append(threading.get_ident())
        assert responds.wait(60)

    monkeypatch.setattr(pilot.kind, "stored", stuck)
    monkeypatch.setattr(pilot.kind, "models", lambda _: [])
    response = await ask(path, body, method=method)
    assert response.code == (200 if method == "GET" else 503)
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    responds.set()
