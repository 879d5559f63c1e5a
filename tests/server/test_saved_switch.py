from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

from jupyter_turbopilot.server import saved_switch
from jupyter_turbopilot.server.saved_switch import SavedSwitches

from ..notebook_index.notebooks import notebook

if TYPE_CHECKING:
    import pytest

OFF = {"turbopilot": {"enabled": False}}


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


async def test_notebook_of_a_manager_is_read_again_only_after_a_change() -> None:
    manager = Remote()
    switches = SavedSwitches(manager)
    assert [await switches.is_enabled("a.ipynb") for _ in range(3)] == [False] * 3
    assert manager.contents == 1
    manager.metadata, manager.modified = {}, datetime(2026, 1, 2, tzinfo=UTC)
    assert await switches.is_enabled("a.ipynb")
    assert manager.contents == 2


async def test_notebook_counts_as_enabled_while_the_manager_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manager = Remote()
    manager.seconds = 60
    monkeypatch.setattr(saved_switch, "SECONDS", 0.01)
    assert await SavedSwitches(manager).is_enabled("a.ipynb")


async def test_notebook_on_the_disk_is_read_without_the_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = AsyncLargeFileManager(root_dir=str(tmp_path))
    monkeypatch.setattr(AsyncLargeFileManager, "get", None)
    content = json.loads(notebook("x = 1"))
    (tmp_path / "a.ipynb").write_text(json.dumps(content))
    switches = SavedSwitches(manager)
    assert await switches.is_enabled("a.ipynb")
    content["metadata"] = OFF
    (tmp_path / "a.ipynb").write_text(json.dumps(content))
    assert not await switches.is_enabled("a.ipynb")
    assert not await switches.is_enabled("RTC:a.ipynb")
    assert await switches.is_enabled("missing.ipynb")
