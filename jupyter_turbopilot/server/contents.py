"""What a Jupyter server tells of its contents: where they are, and what happens to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_server.services.contents.fileio import FileManagerMixin
from jupyter_server.services.contents.filemanager import AsyncFileContentsManager, FileContentsManager
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager, LargeFileManager
from jupyter_server.services.contents.manager import ContentsManager

from jupyter_turbopilot.memory.contents import Contents, FilesOfManager
from jupyter_turbopilot.memory.local_files import LocalFiles

if TYPE_CHECKING:
    import asyncio

    from jupyter_turbopilot.memory.base import Source
    from jupyter_turbopilot.memory.build import Builder

_JUPYTERS_OWN = {FileContentsManager, AsyncFileContentsManager, LargeFileManager, AsyncLargeFileManager}
_CHANGES = {"create", "save", "upload", "rename", "copy", "delete"}


def source_of(manager: Any, loop: asyncio.AbstractEventLoop) -> Source:
    """Return where the person's notebooks and files are read from."""
    if not _keeps_files(manager):
        return Contents(manager, loop)
    if type(manager) in _JUPYTERS_OWN:
        return LocalFiles(manager.root_dir, manager.should_list, _hidden(manager))
    return FilesOfManager(manager, loop, manager.should_list, _hidden(manager))


def _keeps_files(manager: Any) -> bool:
    """Tell whether the paths of a manager are those of files on the disk."""
    return (
        isinstance(manager, FileManagerMixin) and type(manager)._get_os_path is FileManagerMixin._get_os_path  # noqa: SLF001 - what subclasses override
    )


def _hidden(manager: Any) -> str:
    """Name what decides which files a person is not shown, unless that is Jupyter's default."""
    rule = type(manager).should_list
    own = "" if rule is ContentsManager.should_list else f"{rule.__module__}.{rule.__qualname__} "
    globs = sorted(manager.hide_globs or ())
    return own if globs == sorted(ContentsManager.hide_globs.default() or ()) else f"{own}{globs!r}"


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
    if type(manager) not in _JUPYTERS_OWN:  # only Jupyter's own managers are known to tell what they save
        manager.register_post_save_hook(on_save)
