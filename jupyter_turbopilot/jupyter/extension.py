"""The server extension: mounts the routes, builds the pilot, keeps the notebook index up to date, stops.

Jupyter waits for the extension when it starts, so that most modules are imported right after the start.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.services.contents.filemanager import AsyncFileContentsManager, FileContentsManager
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager, LargeFileManager
from jupyter_server.services.contents.manager import ContentsManager
from jupyter_server.utils import url_path_join
from tornado.web import HTTPError
from traitlets import TraitError

from jupyter_turbopilot.jupyter.routes.table import MISSING, lazy, loaded, table
from jupyter_turbopilot.protocol.errors import ConfigurationError, EngineError
from jupyter_turbopilot.protocol.phase import Phase
from jupyter_turbopilot.settings.access import Access, access_of
from jupyter_turbopilot.settings.config import Turbopilot, sections

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_server.serverapp import ServerApp

    from jupyter_turbopilot.index.local_files import LocalFiles
    from jupyter_turbopilot.index.reader import MaintainedIndex
    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot

# Seconds. Imports and loading briefly hold the GIL, so the server responds to its first requests before.
IMPORT_AFTER, LOAD_AFTER = 0.5, 1.0
_JUPYTER_MANAGERS = {FileContentsManager, AsyncFileContentsManager, LargeFileManager, AsyncLargeFileManager}
# Methods that decide which content a manager returns. If others replace them, it may refuse or change some.
_READING = (
    *("get", "is_hidden", "_get_os_path", "_read_file", "_read_notebook"),
    *("_dir_model", "_file_model", "_notebook_model"),
)
# Imported after the start, so that the first request does not wait for them.
_AFTER_START = ("pilot.pilot", "kernels.watch", "routes.native", "routes.fixes", "routes.manage")
_CHANGES = {"create", "save", "upload", "rename", "copy", "delete"}


class TurbopilotExtension(ExtensionApp):
    """Hosts the model inside the Jupyter server."""

    name = "jupyter_turbopilot"
    load_other_extensions = True
    _pilot: Pilot | None = None
    _starting: asyncio.Task[None] | None = None

    def __init__(self, **values: Any) -> None:
        self.classes = sections()  # not in the class: a plugin may import this module
        super().__init__(**values)

    def _config_file_name_default(self) -> str:
        # The command line reads this file too. Jupyter's default is jupyter_jupyter_turbopilot_config.
        return f"{self.name}_config"

    def initialize_settings(self) -> None:
        """Read the settings, and notify the page of what they allow."""
        self._turbopilot, self._access = self._read_settings()
        access = self._access
        if access.is_invalid:
            self.log.warning("Turbopilot: %s", access.reason)
        self._secret = secrets.token_urlsafe(32)
        # Without this entry, the front end runs the model in the page. Only the server knows what is denied.
        only = bool(access.reason or access.denied or access.only_remote)
        web_app = cast("ServerApp", self.serverapp).web_app
        page_config = web_app.settings.setdefault("page_config_data", {})
        page_config["jupyterTurbopilot"] = "server only" if only else "server"

    @property
    def pilot(self) -> Pilot:
        """The pilot, built when first used. It reports a missing model as its state."""
        if self._pilot is None:
            from jupyter_turbopilot.jupyter.kernels.watch import Kernels
            from jupyter_turbopilot.jupyter.pilot.pilot import Pilot

            server = cast("ServerApp", self.serverapp)
            manager, settings = server.kernel_manager, self._turbopilot
            self._pilot = Pilot(
                settings,
                kernels=Kernels(manager) if settings.kernel_context else None,
                kernel_busy=partial(any_kernel_busy, manager),
                root=server.root_dir,
                access=self._access,
            )
            self._pilot.kind.waits_for_copy = False  # a user waits for the first suggestion
            self._pilot.completer.listeners.load(settings, "server")
        return self._pilot

    def _read_settings(self) -> tuple[Turbopilot, Access]:
        """Return the settings. If they are invalid, everything is denied, and the reason says why.

        An extension that raised an error would leave it to the page to run a model.
        """
        try:
            settings = Turbopilot(parent=self)
            settings.validate_sections()
            settings.engine_section.take_secrets()
        except TraitError as error:
            reason = ConfigurationError("The configuration of Turbopilot", error).message
        except EngineError as error:
            reason = error.message
        except Exception as error:  # an engine of a plugin can raise anything
            self.log.exception("Turbopilot: The engine has failed")
            reason = f"The engine has failed ({type(error).__name__}), see the log of the Jupyter server."
        else:
            return settings, access_of(settings, os.environ, cast("ServerApp", self.serverapp).root_dir)
        return Turbopilot(engine="llama"), Access(reason, is_invalid=True)

    def initialize_handlers(self) -> None:
        """Mount the routes under `turbopilot/`."""
        takes = {"secret": self._secret}
        for path, value in (*table().items(), (".*", MISSING)):
            route = lazy(value, lambda: self.pilot)
            self.handlers.append((url_path_join("turbopilot", path), route, takes))

    async def _start_jupyter_server_extension(self, server: Any) -> None:
        self._starting = asyncio.create_task(self._finish_start(server))
        self._starting.add_done_callback(self._report_failure)

    def _write_runtime_file(self, server: Any) -> None:
        from jupyter_turbopilot.jupyter import runtime

        runtime.remove_stale()
        if not server.sock:
            url, named = loopback_url(server), self._turbopilot.cache_file
            runtime.write(runtime.Runtime(url, self._secret, os.getpid(), named, server.root_dir))

    def _report_failure(self, started: asyncio.Task[None]) -> None:
        """Log why the start failed. Otherwise asyncio would log it only at the end of the process."""
        if not started.cancelled() and (error := started.exception()):
            self.log.error("Turbopilot: The start failed, so no model is loaded", exc_info=error)

    async def _finish_start(self, server: Any) -> None:
        """Write the runtime file and import other modules on a thread, then load the model and the index."""
        from jupyter_turbopilot.jupyter.pilot.threads import BackgroundThreads

        threads = BackgroundThreads(1)
        await threads.run("", self._write_runtime_file, server)
        await asyncio.sleep(IMPORT_AFTER)
        await threads.run("", _import_others)
        # All routes: a request that imports one blocks the event loop, and an upgrade can replace its file.
        imported = threads.run("", loaded)
        index = self._start_index(self.pilot, server.contents_manager)
        await asyncio.gather(imported, self._load(self.pilot), index)

    async def _load(self, pilot: Pilot) -> None:
        """Load the model, unless a request has started this."""
        if pilot.settings.load_at_start:
            await asyncio.sleep(LOAD_AFTER)
            if pilot.worker.state.phase is Phase.EMPTY:
                await pilot.disk.run("", "model", pilot.start)

    async def _start_index(self, pilot: Pilot, manager: Any) -> None:
        if pilot.settings.notebook_index:
            await asyncio.sleep(LOAD_AFTER)
            if notebook_index := await pilot.disk.run("", "root", _remember, pilot, manager):
                listen(manager, notebook_index)

    async def stop_extension(self) -> None:
        """Unload the model, end all requests and delete the runtime file."""
        from jupyter_turbopilot.jupyter import runtime
        from jupyter_turbopilot.jupyter.pilot.threads import stop_within

        if self._starting:
            self._starting.cancel()
        stops: list[Callable[[], object]] = [partial(runtime.remove, os.getpid())]
        if self._pilot:
            if self._pilot.kernels:
                self._pilot.kernels.close()  # its sockets belong to the event loop
            stops.append(self._pilot.stop)
        await asyncio.gather(*map(stop_within, stops))


def _import_others() -> None:
    for name in _AFTER_START:
        import_module(f"jupyter_turbopilot.jupyter.{name}")


def any_kernel_busy(manager: Any) -> bool:
    """Return whether a kernel of this server is executing code."""
    for name in manager.list_kernel_ids():
        with suppress(LookupError, HTTPError):  # the kernel may have ended since it was listed
            if getattr(manager.get_kernel(name), "execution_state", None) == "busy":
                return True
    return False


def loopback_url(server: Any) -> str:
    """Return the URL of the server for processes on this machine."""
    scheme = "https" if server.certfile else "http"
    everywhere = server.ip in {"", "*", "0.0.0.0", "::", "localhost"}  # noqa: S104 - compared, not bound
    host = "127.0.0.1" if everywhere else server.ip
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{server.port}{server.base_url}"


def _remember(pilot: Pilot, manager: Any) -> MaintainedIndex | None:
    source = source_of(manager)
    return pilot.remember(source) if source else None


def source_of(manager: Any) -> LocalFiles | None:
    """Return the folder that the notebook index covers; None for a manager that reads in its own way."""
    from jupyter_turbopilot.index.local_files import LocalFiles

    if not all(_reads_the_disk(getattr(manager, name, None)) for name in _READING):
        return None
    return LocalFiles(manager.root_dir, manager.should_list, _hiding_rule(manager))


def _reads_the_disk(method: Any) -> bool:
    """Return whether a method of a manager is Jupyter's, or Jupytext's, which converts but hides nothing."""
    module = getattr(method, "__module__", None) or ""
    return module.partition(".")[0] in {"jupyter_server", "jupytext"}


def _hiding_rule(manager: Any) -> str:
    """Return an identifier of the rule that hides files, or an empty string for Jupyter's default."""
    rule = type(manager).should_list
    own = "" if rule is ContentsManager.should_list else f"{rule.__module__}.{rule.__qualname__} "
    globs = sorted(manager.hide_globs or ())
    return own if globs == sorted(ContentsManager.hide_globs.default() or ()) else f"{own}{globs!r}"


def listen(manager: Any, notebook_index: MaintainedIndex) -> None:
    """Notify the index builder of files that are saved, renamed or deleted through the server."""

    async def on_event(logger: Any, schema_id: str, data: dict[str, Any]) -> None:  # noqa: ARG001 - Jupyter's names
        if data.get("action") in _CHANGES:
            notebook_index.builder.changed(
                *(str(data[name]) for name in ("source_path", "path") if data.get(name))
            )

    def on_save(model: dict[str, Any], **_: Any) -> None:
        if path := model.get("path"):
            notebook_index.builder.changed(str(path))

    logger = getattr(manager, "event_logger", None)
    if logger is not None:
        logger.add_listener(schema_id=manager.event_schema_id, listener=on_event)
    if type(manager) not in _JUPYTER_MANAGERS:  # other managers may not emit events when they save
        manager.register_post_save_hook(on_save)
