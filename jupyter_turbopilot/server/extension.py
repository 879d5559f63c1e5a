"""The server extension: builds the pilot, mounts the routes, keeps the notebook index up to date, stops."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.services.contents.fileio import FileManagerMixin
from jupyter_server.services.contents.filemanager import AsyncFileContentsManager, FileContentsManager
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager, LargeFileManager
from jupyter_server.services.contents.manager import ContentsManager
from jupyter_server.utils import url_path_join

from jupyter_turbopilot.config import SECTIONS, Turbopilot
from jupyter_turbopilot.engine.lifecycle import Phase
from jupyter_turbopilot.kernels.watch import Kernels
from jupyter_turbopilot.pilot.pilot import Pilot, study_of
from jupyter_turbopilot.server import runtime
from jupyter_turbopilot.server.routes.manage import MissingRoute
from jupyter_turbopilot.server.routes.table import ROUTES

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from jupyter_turbopilot.memory.base import Source
    from jupyter_turbopilot.memory.build import Builder

# Seconds. Loading holds the interpreter for moments; the server is to answer first.
LOAD_AFTER = 1.5
_JUPYTERS_OWN = {FileContentsManager, AsyncFileContentsManager, LargeFileManager, AsyncLargeFileManager}
_CHANGES = {"create", "save", "upload", "rename", "copy", "delete"}


class TurbopilotExtension(ExtensionApp):
    """Hosts the model inside the Jupyter server."""

    name = "jupyter_turbopilot"
    load_other_extensions = True
    classes = list(SECTIONS)  # noqa: RUF012 - as Jupyter declares it
    pilot: Pilot | None = None

    def _config_file_name_default(self) -> str:
        # As the command line reads it; Jupyter would look for jupyter_jupyter_turbopilot_config.
        return f"{self.name}_config"

    def initialize_settings(self) -> None:
        """Build the pilot; a missing engine or model is a state, not a failure."""
        settings = Turbopilot(parent=self)
        if settings.engine == "remote":
            from jupyter_turbopilot.engine.remote.loading import take_key

            take_key(settings)
        manager = cast("ServerApp", self.serverapp).kernel_manager  # Jupyter links us to it before
        self.pilot = Pilot(
            settings,
            kernels=Kernels(manager) if settings.kernel_facts else None,
            kernel_busy=partial(any_kernel_busy, manager),
            root=cast("ServerApp", self.serverapp).root_dir,
            study=study_of(settings, "server"),
        )
        self._secret = secrets.token_urlsafe(32)
        # By this mark the front end knows that a server completes; a page without one may do so itself.
        web_app = cast("ServerApp", self.serverapp).web_app
        web_app.settings.setdefault("page_config_data", {})["jupyterTurbopilot"] = "server"

    def initialize_handlers(self) -> None:
        """Mount the routes under `turbopilot/`."""
        for path, route in (*ROUTES, (".*", MissingRoute)):
            takes = {"pilot": self.pilot, "secret": self._secret if path in runtime.SECRET_IS_FOR else ""}
            self.handlers.append((url_path_join("turbopilot", path), route, takes))

    async def _start_jupyter_server_extension(self, server: Any) -> None:
        runtime.remove_stale()
        if not server.sock:
            named = self.pilot.results_file if self.pilot else ""
            runtime.write(runtime.Runtime(loopback_url(server), self._secret, os.getpid(), named))
        if self.pilot and self.pilot.settings.load_at_start:
            # After the server has answered for the first time: loading would make it wait.
            asyncio.get_running_loop().call_later(LOAD_AFTER, self._load)
        if self.pilot and self.pilot.settings.memory:
            asyncio.get_running_loop().call_later(LOAD_AFTER, self._remember, server.contents_manager)

    def _load(self) -> None:
        if self.pilot and self.pilot.worker.state.phase is Phase.EMPTY:
            self.pilot.start()

    def _remember(self, manager: Any) -> None:
        """Begin to keep an index of what the server serves."""
        if self.pilot and (memory := self.pilot.remember(source_of(manager, asyncio.get_running_loop()))):
            listen(manager, memory.builder)

    async def stop_extension(self) -> None:
        """Let go of the model and of whoever waits."""
        runtime.remove(os.getpid())
        if self.pilot:
            self.pilot.stop()


def any_kernel_busy(manager: Any) -> bool:
    """Tell whether a kernel of this server computes something."""
    for name in manager.list_kernel_ids():
        with suppress(Exception):  # it may have ended in the meantime
            if getattr(manager.get_kernel(name), "execution_state", None) == "busy":
                return True
    return False


def loopback_url(server: Any) -> str:
    """Return the address at which a process on this machine reaches the server."""
    scheme = "https" if server.certfile else "http"
    everywhere = server.ip in {"", "*", "0.0.0.0", "::", "localhost"}  # noqa: S104 - compared, not bound
    host = "127.0.0.1" if everywhere else server.ip
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port}{server.base_url}"


def source_of(manager: Any, loop: asyncio.AbstractEventLoop) -> Source:
    """Return where the user's notebooks and files are read from."""
    from jupyter_turbopilot.memory.contents import Contents, FilesOfManager
    from jupyter_turbopilot.memory.local_files import LocalFiles

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
