"""Every route there is, by its path under `turbopilot/`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.routes.infill import InfillRoute
from jupyter_turbopilot.routes.manage import ModelsRoute, PullRoute
from jupyter_turbopilot.routes.native import CompleteRoute, FeedbackRoute, HealthRoute

if TYPE_CHECKING:
    from jupyter_turbopilot.routes.base import Route

ROUTES: tuple[tuple[str, type[Route]], ...] = (
    ("complete", CompleteRoute),
    ("infill", InfillRoute),
    ("feedback", FeedbackRoute),
    ("health", HealthRoute),
    ("models", ModelsRoute),
    ("models/pull", PullRoute),
)
