"""What a Jupyter server tells of its contents: where they are, and what happens to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_server.services.contents.filemanager import AsyncFileContentsManager, FileContentsManager
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager, LargeFileManager

from jupyter_turbopilot.memory.contents import Contents
from jupyter_turbopilot.memory.local_files import LocalFiles

if TYPE_CHECKING:
    import asyncio

    from jupyter_turbopilot.memory.build import Builder
    from jupyter_turbopilot.memory.source import Source

# Their files are read from the disk: a listing through them takes the event loop for each of its files.
_ON_THE_DISK = {FileContentsManager, AsyncFileContentsManager, LargeFileManager, AsyncLargeFileManager}
_CHANGES = {"create", "save", "upload", "rename", "copy", "delete"}


def source_of(manager: Any, loop: asyncio.AbstractEventLoop) -> Source:
    """Return where the person's notebooks and files are read from."""
    if type(manager) in _ON_THE_DISK:
        return LocalFiles(manager.root_dir, manager.should_list)
    return Contents(manager, loop)


def listen(manager: Any, builder: Builder) -> None:
    """Tell who builds the index what is saved, renamed and deleted through the server."""

    async def on_event(logger: Any, schema_id: str, data: dict[str, Any]) -> None:  # noqa: ARG001 - Jupyter's names
        if data.get("action") in _CHANGES:
            builder.changed(*(str(data[name]) for name in ("source_path", "path") if data.get(name)))

    def on_save(model: dict[str, Any], **_: Any) -> None:
        if path := model.get("path"):
            builder.changed(str(path))

    logger = getattr(manager, "event_logger", None)
    if logger is not None:
        logger.add_listener(schema_id=manager.event_schema_id, listener=on_event)
    if type(manager) not in _ON_THE_DISK:  # only Jupyter's own managers are known to tell what they save
        manager.register_post_save_hook(on_save)
