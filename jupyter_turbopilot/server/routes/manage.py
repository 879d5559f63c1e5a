"""Models: list, select, fetch with progress, stop."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.errors import BusyError, NotReadyError, UnknownModelError
from jupyter_turbopilot.request import Pull, Select
from jupyter_turbopilot.server.describe import describe_health, describe_models
from jupyter_turbopilot.server.routes.base import Route
from jupyter_turbopilot.server.routes.contract import Health, Models, Progress, Removed, Stopped
from jupyter_turbopilot.server.routes.endpoint import Endpoint
from jupyter_turbopilot.server.routes.openai_wording import model_list

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from jupyter_turbopilot.pilot.library import Download

PROGRESS_SECONDS = 0.25


class ModelsRoute(Route):
    """`GET turbopilot/models` lists, `POST` selects, `DELETE` removes."""

    @Endpoint(gives=Models)
    async def get(self) -> None:
        """List the models and the selected one."""
        listing = model_list(describe_health(self.pilot)["model"])  # as llama.cpp's server answers here
        if self.may_manage:
            models = await self.pilot.background.run(describe_models, self.pilot)
            listing |= {"models": models, "selected": self.pilot.selected}
        self.answer(listing)

    @Endpoint(Select, gives=Health, status=202, access="manage", errors=(UnknownModelError, NotReadyError))
    async def post(self, chosen: Select) -> None:
        """Select a model that is on disk. It loads in the background."""
        await self.pilot.background.run(self.pilot.select, chosen.model, tuned=chosen.tuned)
        self.answer(
            describe_health(self.pilot, await self.memory(), own=self.is_learned_from, logged=self.is_logged)
        )

    @Endpoint(Select, gives=Removed, access="manage", errors=(UnknownModelError,))
    async def delete(self, unwanted: Select) -> None:
        """Delete what was fetched of a model. The loaded model cannot be deleted."""
        freed = await self.pilot.background.run(self.pilot.remove, unwanted.model)
        self.answer({"freed": freed})


class PullRoute(Route):
    """`POST turbopilot/models/pull` downloads with progress as a stream, `DELETE` stops it."""

    @Endpoint(Pull, streams=Progress, access="manage", errors=(UnknownModelError, BusyError))
    async def post(self, wanted: Pull) -> None:
        """Download a model. The download continues if the connection closes; `DELETE` stops it."""
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

    @Endpoint(Select, gives=Stopped, access="manage", errors=(UnknownModelError,))
    async def delete(self, unwanted: Select) -> None:
        """Stop a download. It can be resumed later."""
        self.answer({"stopped": self.pilot.library.cancel(unwanted.model)})
