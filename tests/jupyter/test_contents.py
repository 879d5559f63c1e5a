"""The index of a real Jupyter server's contents: saves, renames, deletions and permissions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.services.contents.filemanager import FileContentsManager
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError

from jupyter_turbopilot.index.local_files import LocalFiles
from jupyter_turbopilot.index.paths import folder, path_of
from jupyter_turbopilot.jupyter import extension, runtime
from jupyter_turbopilot.jupyter.extension import source_of
from jupyter_turbopilot.settings.access import access_of
from jupyter_turbopilot.settings.config import Turbopilot

from ..index.folders import known
from ..index.notebooks import notebook, write
from ..scripted_engine import ScriptedEngine, kind_with
from ..waiting import reached

JSON = {"Content-Type": "application/json"}


class Elsewhere(AsyncLargeFileManager):
    """A manager that maps paths itself; its files need not be on the disk."""

    def _get_os_path(self, path: str) -> str:
        return super()._get_os_path(path)


class Refusing(FileContentsManager):
    """A manager that hides the content of some files."""

    def get(self, path: str, *args: Any, **wanted: Any) -> Any:
        if "solutions" in path:
            raise HTTPError(403)
        return super().get(path, *args, **wanted)


class Converting(AsyncLargeFileManager):
    """A manager that stores notebooks in its own format."""

    async def _read_notebook(self, *args: Any, **wanted: Any) -> Any:
        return await super()._read_notebook(*args, **wanted)


class Own(FileContentsManager):
    """A synchronous manager of a third party."""


MANAGERS = {one.__name__: one for one in (AsyncLargeFileManager, Own)}


@pytest.fixture(params=MANAGERS)
def manager(request: pytest.FixtureRequest) -> Any:
    return MANAGERS[request.param]


@pytest.fixture
def jp_server_config(
    manager: Any, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    monkeypatch.setattr(extension, "LOAD_AFTER", 0.01)
    kind = kind_with(lambda *_: ScriptedEngine("a + b"))
    monkeypatch.setattr("jupyter_turbopilot.jupyter.pilot.pilot.kind_of", lambda settings, _: kind(settings))
    own = tmp_path / "tiny.gguf"
    shutil.copy(tiny_model, own)
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_turbopilot": True}, "contents_manager_class": manager},
        "FileContentsManager": {"delete_to_trash": False},  # do not fill the user's trash
        "Turbopilot": {"model": str(own), "load_at_start": False},
    }


@pytest.fixture
def pilot(jp_serverapp: Any, jp_asyncio_loop: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The pilot of a running server."""
    monkeypatch.setattr(runtime, "write", lambda _: None)
    (app,) = jp_serverapp.extension_manager.extension_apps["jupyter_turbopilot"]
    jp_asyncio_loop.run_until_complete(app._start_jupyter_server_extension(jp_serverapp))
    assert not app.pilot.kind.waits_for_copy
    yield app.pilot
    app.pilot.stop()


def paths(pilot: Any) -> set[str]:
    return known(pilot.notebook_index.builder.path) if pilot.notebook_index else set()


def rests(pilot: Any, begun: str) -> list[str]:
    found = pilot.notebook_index.continuations("python", begun, "", path="x.ipynb", modules=[])
    return [one.rest for one in found]


async def test_index_follows_saves_renames_and_deletions(
    jp_serverapp: Any, jp_fetch: Any, jp_root_dir: Path, pilot: Any
) -> None:
    write(jp_root_dir, "deep/before.ipynb", "was_there_before(1)")
    write(jp_root_dir, ".hidden/b.ipynb", "hidden_name(1)")
    await reached(lambda: paths(pilot) == {"deep/before.ipynb"})
    model = {"type": "notebook", "content": json.loads(notebook("frobnicate_it(2)"))}
    await jp_fetch("api", "contents", "new.ipynb", method="PUT", body=json.dumps(model))
    await reached(lambda: "new.ipynb" in paths(pilot))
    await reached(lambda: rests(pilot, "frob") == ["nicate_it(2)"])  # a lookup does not wait for the builder
    await jp_fetch("api", "contents", "new.ipynb", method="PATCH", body=json.dumps({"path": "other.ipynb"}))
    await reached(lambda: paths(pilot) == {"deep/before.ipynb", "other.ipynb"})
    await jp_fetch("api", "contents", "other.ipynb", method="DELETE")
    await reached(lambda: paths(pilot) == {"deep/before.ipynb"})
    assert rests(pilot, "frob") == []
    health = json.loads((await jp_fetch("turbopilot", "health")).body)
    assert health["notebook_index"] == {
        "building": False,
        "files": 1,
        "found": 1,
        "paused": None,
        "root": str(jp_root_dir),
        "path": str(pilot.notebook_index.builder.path),
        "error": None,
    }


def test_hidden_files_have_a_separate_index(tmp_path: Path) -> None:
    def identity(**settings: Any) -> str:
        manager = AsyncLargeFileManager(root_dir=str(tmp_path), **settings)
        source = source_of(manager)
        assert source
        return source.identity

    assert identity() == LocalFiles(tmp_path).identity
    assert identity(hide_globs=["mine*"]) != identity()


@pytest.mark.parametrize("kind", [Elsewhere, Refusing, Converting])
def test_files_that_a_manager_reads_in_its_own_way_have_no_index(kind: Any, tmp_path: Path) -> None:
    assert source_of(kind(root_dir=str(tmp_path))) is None


@pytest.mark.parametrize("manager", [AsyncLargeFileManager])
class TestWhoMayUseIt:
    async def test_index_requires_permission_to_read_contents(
        self, jp_serverapp: Any, jp_fetch: Any, jp_root_dir: Path, pilot: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await reached(lambda: pilot.notebook_index is not None)
        given: list[Any] = []
        submit = pilot.completer.submit

        def note(request: Any, listener: Any, admission: Any) -> Any:
            given.append(admission.notebook_index)
            return submit(request, listener, admission)

        monkeypatch.setattr(pilot.completer, "submit", note)
        pilot.start()
        await reached(lambda: pilot.worker.state.ready)
        body = json.dumps({"cells": [{"source": "x = "}], "offset": 4, "path": "a.ipynb"})
        await jp_fetch("turbopilot", "complete", method="POST", body=body, headers=JSON)
        assert given == [pilot.notebook_index]

        authorizer = jp_serverapp.authorizer
        monkeypatch.setattr(type(authorizer), "is_authorized", lambda *asked: asked[-1] != "contents")
        await jp_fetch("turbopilot", "complete", method="POST", body=body, headers=JSON)
        assert given[1:] == [None]
        assert json.loads((await jp_fetch("turbopilot", "health")).body)["notebook_index"] is None


@pytest.mark.parametrize("manager", [AsyncLargeFileManager])
def test_denied_paths_have_a_separate_index(pilot: Any, jp_root_dir: Path) -> None:
    source = LocalFiles(jp_root_dir)
    pilot.access = access_of(Turbopilot(denied_paths=["exams"]), {})
    with closing(pilot.remember(source)) as notebook_index:
        assert notebook_index.builder.path == path_of(source.identity, pilot.access.identity())


@pytest.mark.parametrize("manager", [AsyncLargeFileManager])
def test_memory_setting_disables_the_index(pilot: Any, jp_root_dir: Path) -> None:
    pilot.settings.notebook_index = False
    assert pilot.remember(LocalFiles(jp_root_dir)) is None
    assert not folder().exists()
