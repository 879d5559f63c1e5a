"""The state of the server, its models and its notebook index: health, metrics, list, select, delete."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from dataclasses import asdict
from functools import partial
from html import escape
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST

from jupyter_turbopilot.jupyter.describe import describe_health, describe_models, model_list
from jupyter_turbopilot.jupyter.routes.admission import readable_index
from jupyter_turbopilot.jupyter.routes.auth import may
from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.jupyter.routes.endpoint import Endpoint
from jupyter_turbopilot.jupyter.routes.jobs import try_loading
from jupyter_turbopilot.jupyter.routes.streams import send_lines
from jupyter_turbopilot.protocol.contract import Health, Models, Progress, Removed, Stopped
from jupyter_turbopilot.protocol.errors import (
    BadRequestError,
    BusyError,
    NotReadyError,
    UnknownModelError,
)
from jupyter_turbopilot.protocol.request import Pull, Select
from jupyter_turbopilot.util.sqlite_file import reason_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from jupyter_turbopilot.index.reader import MaintainedIndex
    from jupyter_turbopilot.jupyter.pilot.library import Download

PROGRESS_SECONDS = 0.25
# Copilot's clients take responses without GitHub's request id for a firewall's.
COPILOT_HEADERS = {"X-GitHub-Request-Id": partial(secrets.token_hex, 16)}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Turbopilot</title>
<style>:root{{color-scheme:light dark;font:16px/1.5 system-ui}}
body{{max-width:40em;margin:3em auto;padding:0 1em}}</style>
<h1>Turbopilot {version}</h1><p role="status">{state}</p>
<p>Routes for editors, relative to this page: <code>/infill</code> and <code>/completion</code> (llama.cpp),
<code>/v1/completions</code> (OpenAI, FauxPilot), <code>/api/generate</code> (Hugging Face),
<code>/complete</code> (Turbopilot), <code>/openapi.json</code>. For administrators:
<code>/metrics</code>, <code>/models</code>.</p></html>
"""


class MetricsRoute(Route):
    """`GET metrics`."""

    _track_activity = False

    @Endpoint(access="totals")
    async def get(self) -> None:
        """Return the metrics in Prometheus' format."""
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        await self.finish(self.shared.metrics.text(with_users=self.caller.distinguishes_users))


class StatusRoute(Route):
    """`GET /` of `serve`: a status page."""

    _track_activity = False

    @property
    def content_security_policy(self) -> str:
        """Allow the page's inline style."""
        return f"{super().content_security_policy}; style-src 'unsafe-inline'"

    @Endpoint(access="open")
    async def get(self) -> None:
        """Return the page."""
        await try_loading(self, only_again=True)
        health = describe_health(self.pilot)
        state = f"{health['model']}: {'ready' if health['ready'] else health['phase']}."
        self.set_header("Content-Type", "text/html; charset=utf-8")
        page = PAGE.format(version=version("jupyter-turbopilot"), state=escape(state))
        await self.finish(page)


async def _health(route: Route) -> dict[str, Any]:
    """Return the server's state as far as the caller may see it."""
    await try_loading(route, only_again=True)
    return describe_health(
        route.pilot,
        await readable_index(route),
        own=route.caller.is_owner,
        logged=not route.caller.tenant,
        for_admin=route.standalone_identity is not None and route.caller.may_manage,
    )


class HealthRoute(Route):
    """`GET turbopilot/health`: whether the server is live and ready."""

    serves_kernels = True
    _track_activity = False  # the status bar's polling must not keep an idle server running

    @Endpoint(gives=Health)
    async def get(self) -> None:
        """Return whether the server is ready to complete, and if not, why."""
        self.answer(await _health(self))


class OpenHealthRoute(Route):
    """`GET /health` of `serve`, open to all callers."""

    _track_activity = False

    @Endpoint(gives=Health, access="open")
    async def get(self) -> None:
        """Return whether the server is ready; without the key, only its status."""
        health = await _health(self)
        self.set_status(200 if health["ready"] else 503)
        if not self.current_user:
            health = {"status": health["status"]}
        elif not self.caller.may_see_totals:
            health["last_ms"] = None  # it may be of another user's request
        self.answer(health)


class MissingRoute(Route):
    """All other paths, with no methods. Jupyter's own handler fails on some bodies."""

    extra_headers = COPILOT_HEADERS


class ModelsRoute(Route):
    """`GET turbopilot/models` lists, `POST` selects, `DELETE` removes."""

    extra_headers = COPILOT_HEADERS

    @Endpoint(gives=Models)
    async def get(self) -> None:
        """List the models and the selected one."""
        await try_loading(self, only_again=True)
        # llama.cpp's server responds with this list.
        listing = model_list(describe_health(self.pilot)["model"])
        if self.caller.may_manage:
            is_off = bool(self.pilot.access.reason)  # no model is offered then
            models = [] if is_off else await self.run(describe_models, self.pilot)
            listing |= {"models": models, "selected": self.pilot.selected}
        self.answer(listing)

    @Endpoint(Select, gives=Health, status=202, access="manage", errors=(UnknownModelError, NotReadyError))
    async def post(self, chosen: Select) -> None:
        """Select a model that is on disk. It loads in the background."""
        await self.run(self.pilot.select, chosen.model, adapters_enabled=chosen.adapters_enabled)
        self.answer(await _health(self))

    @Endpoint(Select, gives=Removed, access="manage", errors=(UnknownModelError,))
    async def delete(self, unwanted: Select) -> None:
        """Delete the downloaded files of a model. The loaded model cannot be deleted."""
        freed = await self.run(self.pilot.remove, unwanted.model)
        self.answer({"freed": freed})


class NotebookIndexRoute(Route):
    """`DELETE turbopilot/index` deletes the notebook index, `POST` builds it again."""

    @Endpoint(gives=Health, access="manage", errors=(NotReadyError,))
    async def delete(self) -> None:
        """Stop indexing, and delete the notebook index. It stays deleted until `POST`."""
        try:
            await self.run((await self._owned_index()).delete)
        except (OSError, NotImplementedError, sqlite3.Error) as error:
            raise NotReadyError(
                f"The notebook index could not be deleted: {reason_of(error)}. "
                "Run: jupyter turbopilot forget. It also deletes saved prompts and completions.",
                code="not_deleted",
            ) from None
        self.answer(await _health(self))

    @Endpoint(gives=Health, status=202, access="manage")
    async def post(self) -> None:
        """Build a deleted notebook index again, in the background."""
        await self.run((await self._owned_index()).build_again)
        self.answer(await _health(self))

    async def _owned_index(self) -> MaintainedIndex:
        """Return the index to its owner; raise an error for other users of the server."""
        if self.caller.tenant or not await may(self, "write", "contents"):
            raise self.not_manager_error()
        if not self.pilot.notebook_index:
            raise BadRequestError("This server keeps no notebook index.", code="no_index")
        return self.pilot.notebook_index


class PullRoute(Route):
    """`POST turbopilot/models/pull` downloads with progress as a stream, `DELETE` stops it."""

    @Endpoint(Pull, streams=Progress, access="manage", errors=(UnknownModelError, BusyError))
    async def post(self, wanted: Pull) -> None:
        """Download a model. The download continues if the connection closes; `DELETE` stops it."""
        download = await self.run(
            self.pilot.download, wanted.model, mirrors=wanted.mirrors, select=wanted.select
        )
        await send_lines(self, self._progress(download), {"phase": "failed", "done": True})

    @staticmethod
    async def _progress(download: Download) -> AsyncGenerator[dict[str, Any]]:
        while not download.finished.is_set():
            yield asdict(download.step)
            await asyncio.sleep(PROGRESS_SECONDS)
        if download.error:
            raise download.error
        yield asdict(download.step) | {"phase": "done", "done": True}

    @Endpoint(Select, gives=Stopped, access="manage", errors=(UnknownModelError,))
    async def delete(self, unwanted: Select) -> None:
        """Stop a download. It can be resumed later."""
        self.answer({"stopped": await self.run(self.pilot.library.cancel, unwanted.model)})
