import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from jupyter_server.services.contents.fileio import FileManagerMixin
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

from jupyter_turbopilot.jupyter import saved_switch
from jupyter_turbopilot.jupyter.pilot.threads import DiskThreads
from jupyter_turbopilot.jupyter.saved_switch import SavedSwitches

from ..index.notebooks import notebook

OFF = {"turbopilot": {"enabled": False}}


@pytest.fixture
def disk() -> Iterator[DiskThreads]:
    disk = DiskThreads()
    yield disk
    disk.close()


class Remote:
    """A contents manager with one notebook."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = OFF
        self.modified = datetime(2026, 1, 1, tzinfo=UTC)
        self.contents = 0  # requests for the content
        self.seconds = 0.0

    async def get(self, path: str, *, type: str, content: bool) -> dict[str, Any]:  # noqa: A002 - Jupyter's name
        await asyncio.sleep(self.seconds)
        self.contents += content
        return {"last_modified": self.modified, "content": {"metadata": self.metadata} if content else None}


async def test_notebook_of_a_manager_is_read_again_only_after_a_change(disk: DiskThreads) -> None:
    manager = Remote()
    switches = SavedSwitches(manager, disk)
    assert [await switches.is_enabled("a.ipynb", "ada") for _ in range(3)] == [False] * 3
    assert manager.contents == 1
    manager.metadata, manager.modified = {}, datetime(2026, 1, 2, tzinfo=UTC)
    assert await switches.is_enabled("a.ipynb", "ada")
    assert manager.contents == 2


@pytest.mark.parametrize("model", [None, {"content": None}, {"content": "text"}])
async def test_notebook_counts_as_enabled_if_the_manager_returns_something_else(
    monkeypatch: pytest.MonkeyPatch, disk: DiskThreads, model: object
) -> None:
    async def get(*_: object, **__: object) -> object:
        return model

    manager = Remote()
    monkeypatch.setattr(manager, "get", get)
    assert await SavedSwitches(manager, disk).is_enabled("a.ipynb", "ada")


async def test_notebook_counts_as_enabled_while_the_manager_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, disk: DiskThreads
) -> None:
    manager = Remote()
    manager.seconds = 60
    monkeypatch.setattr(saved_switch, "SECONDS", 0.01)
    assert await SavedSwitches(manager, disk).is_enabled("a.ipynb", "ada")


async def test_notebook_on_the_disk_is_read_without_the_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: DiskThreads
) -> None:
    manager = AsyncLargeFileManager(root_dir=str(tmp_path))
    monkeypatch.setattr(AsyncLargeFileManager, "get", None)
    content = json.loads(notebook("x = 1"))
    (tmp_path / "a.ipynb").write_text(json.dumps(content))
    switches = SavedSwitches(manager, disk)
    assert await switches.is_enabled("a.ipynb", "ada")
    content["metadata"] = OFF
    (tmp_path / "a.ipynb").write_text(json.dumps(content))
    assert not await switches.is_enabled("a.ipynb", "ada")
    assert not await switches.is_enabled("RTC:a.ipynb", "ada")
    assert await switches.is_enabled("missing.ipynb", "ada")


async def test_path_of_a_notebook_is_looked_up_outside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: DiskThreads
) -> None:
    threads = set[int]()

    def path(manager: AsyncLargeFileManager, name: str) -> str:
        threads.add(threading.get_ident())
        return f"{manager.root_dir}/{name}"

    monkeypatch.setattr(FileManagerMixin, "_get_os_path", path)
    (tmp_path / "a.ipynb").write_text(json.dumps({"metadata": OFF}))
    assert not await SavedSwitches(AsyncLargeFileManager(root_dir=str(tmp_path)), disk).is_enabled(
        "a.ipynb", "ada"
    )
    assert threads
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(("metadata", "enabled"), [(OFF, False), ({}, True)])
async def test_section_of_a_large_notebook_disables_it_without_parsing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: DiskThreads, metadata: Any, enabled: bool
) -> None:
    key, text = "turbopilot", json.dumps({"cells": [], "metadata": metadata})
    (tmp_path / "a.ipynb").write_text(text)
    monkeypatch.setattr(saved_switch, "is_enabled_in", None)
    switches = SavedSwitches(AsyncLargeFileManager(root_dir=str(tmp_path)), disk)
    sizes = (
        (1, text.find(key) + 2, text.find(key) + len(key), len(text) - 1)
        if key in text
        else (1, len(text) - 1)
    )
    for size in sizes:
        monkeypatch.setattr(saved_switch, "MOST_BYTES", size)
        (tmp_path / "a.ipynb").touch()
        assert await switches.is_enabled("a.ipynb", "ada") is enabled


async def test_notebook_on_a_disk_that_does_not_respond_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: DiskThreads
) -> None:
    responds = threading.Event()
    reads = []

    def wait(file: BinaryIO, size: int) -> bool:
        reads.append(size)
        return not responds.wait(60)

    monkeypatch.setattr(saved_switch, "_is_enabled_in_file", wait)
    monkeypatch.setattr(saved_switch, "SECONDS", 0.05)
    (tmp_path / "a.ipynb").write_text("{}")
    switches = SavedSwitches(AsyncLargeFileManager(root_dir=str(tmp_path)), disk)
    assert [await switches.is_enabled("a.ipynb", "ada") for _ in range(3)] == [True] * 3
    assert reads == [2]
    monkeypatch.setattr(saved_switch, "SECONDS", 60)
    responds.set()
    assert not await switches.is_enabled("a.ipynb", "ada")
