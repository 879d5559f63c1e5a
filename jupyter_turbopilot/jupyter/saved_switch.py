"""Whether saved notebooks allow completion, for clients that do not send their metadata."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from jupyter_core.utils import ensure_async
from jupyter_server.services.contents.fileio import FileManagerMixin

from jupyter_turbopilot.index.excluded import MOST_BYTES, NOTEBOOK
from jupyter_turbopilot.util.bounds import LimitedDict
from jupyter_turbopilot.util.notebook_file import (
    LONGEST_SECTION,
    equivalent_paths,
    is_enabled,
    is_enabled_in,
    may_have_section,
)

if TYPE_CHECKING:
    from jupyter_turbopilot.jupyter.pilot.threads import DiskThreads

log = logging.getLogger(__name__)
SECONDS = 2.0  # until a notebook counts as enabled because its metadata are not known
MOST = 256  # remembered notebooks


class SavedSwitches:
    """The off switches in saved notebooks, read again only when a notebook has changed."""

    def __init__(self, manager: Any, disk: DiskThreads) -> None:
        self._manager = manager
        self._disk = disk
        self._known = LimitedDict[str, tuple[object, bool]](MOST)  # modification and switch by path

    async def is_enabled(self, path: str, caller: str) -> bool:
        """Return whether the metadata of a saved notebook allow completion; True if they are unreadable."""
        if self._manager is None or not path.lower().endswith(NOTEBOOK):
            return True
        for name in equivalent_paths(path):
            if uses_file_paths(self._manager):
                reading = self._disk.run(caller, ("metadata", name), self._read_file, name)
            else:
                reading = self._read_from_manager(name)
            try:
                modified, enabled = await asyncio.wait_for(reading, SECONDS)
            except Exception:  # managers of third parties may raise anything
                log.debug("Turbopilot: a notebook could not be read", exc_info=True)
                continue
            self._known[name] = modified, enabled
            return enabled
        return True

    def _read_file(self, name: str) -> tuple[object, bool]:
        """Return the modification and the switch of a notebook on the disk. The manager is slower."""
        known = self._known.get(name)
        path = Path(self._manager._get_os_path(name))  # noqa: SLF001 - as Jupyter's own managers do
        if not path.is_file():
            raise FileNotFoundError
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            modified = found.st_mtime_ns, found.st_size
            if known and known[0] == modified:
                return known
            return modified, _is_enabled_in_file(file, found.st_size)

    async def _read_from_manager(self, name: str) -> tuple[object, bool]:
        """Return the modification and the switch of a notebook that only the manager can read.

        A synchronous manager blocks the event loop, as it does when a page opens the notebook. It may not run
        in another thread: Jupyter calls managers on the event loop only, so few of them are thread-safe.
        """
        model = await ensure_async(self._manager.get(name, type="notebook", content=False))
        modified, known = model.get("last_modified"), self._known.get(name)
        if modified and known and known[0] == modified:
            return known
        model = await ensure_async(self._manager.get(name, type="notebook", content=True))
        return modified, is_enabled(model["content"].get("metadata"))


def _is_enabled_in_file(file: BinaryIO, size: int) -> bool:
    """Return whether a notebook file allows Turbopilot; a large one only without Turbopilot's section.

    Parsing a large one would block the other threads.
    """
    if size <= MOST_BYTES:
        return is_enabled_in(file.read().decode("utf-8", "replace"))
    text = ""
    while piece := file.read(MOST_BYTES).decode("utf-8", "replace"):
        text = text[-LONGEST_SECTION:] + piece
        if may_have_section(text):
            return False
    return True


def uses_file_paths(manager: Any) -> bool:
    """Return whether the manager's paths map directly to files on the disk."""
    return (
        isinstance(manager, FileManagerMixin) and type(manager)._get_os_path is FileManagerMixin._get_os_path  # noqa: SLF001 - subclasses override it
    )
