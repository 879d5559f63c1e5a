"""Models: list, select, fetch with progress, stop."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_turbopilot.request import Pull, Select
from jupyter_turbopilot.server.describe import describe_health, describe_models
from jupyter_turbopilot.server.routes.base import Route
from jupyter_turbopilot.server.routes.openai import listed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from jupyter_turbopilot.pilot.library import Download

PROGRESS_SECONDS = 0.25


class ModelsRoute(Route):
    """`GET turbopilot/models` lists, `POST` selects, `DELETE` removes."""

    manages = True
    accepts = Select

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List what there is."""
        await self.guard(self._list())

    async def _list(self) -> None:
        found = listed(self.pilot)  # as llama.cpp's server answers here
        if self.may_manage:
            models = await self.pilot.background.run(describe_models, self.pilot)
            found |= {"models": models, "selected": self.pilot.selected}
        self.answer(found)

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Select a model that is on the disk; it loads in the background."""
        await self.guard(self._select())

    @web.authenticated
    @authorized
    async def delete(self) -> None:
        """Delete a model's file; the one that is loaded stays."""
        await self.guard(self._remove())

    async def _remove(self) -> None:
        freed = await self.pilot.background.run(self.pilot.remove, self.body(Select).model)
        self.answer({"freed": freed})

    async def _select(self) -> None:
        chosen = self.body(Select)
        await self.pilot.background.run(self.pilot.select, chosen.model, tuned=chosen.tuned)
        self.set_status(202)
        self.answer(describe_health(self.pilot))


class PullRoute(Route):
    """`POST turbopilot/models/pull` fetches with progress as a stream, `DELETE` stops it."""

    manages = True
    accepts = Pull

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Fetch a model. Closing the connection does not stop it; `DELETE` does."""
        await self.guard(self._pull())

    async def _pull(self) -> None:
        wanted = self.body(Pull)
        download = self.pilot.download(wanted.model, mirrors=wanted.mirrors, select=wanted.select)
        await self.stream(self._progress(download))

    @staticmethod
    async def _progress(download: Download) -> AsyncGenerator[dict[str, Any]]:
        while not download.finished.is_set():
            yield asdict(download.step)
            await asyncio.sleep(PROGRESS_SECONDS)
        if download.error:
            yield {"phase": "failed", "done": True} | download.error.body()
        else:
            yield asdict(download.step) | {"phase": "done", "done": True}

    @web.authenticated
    @authorized
    async def delete(self) -> None:
        """Stop a download; what came stays for the next time."""
        await self.guard(self._stop())

    async def _stop(self) -> None:
        stopped = self.pilot.library.cancel(self.body(Select).model)
        self.answer({"stopped": stopped})
