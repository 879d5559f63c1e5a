"""Every route there is, by its path under `turbopilot/`."""

from __future__ import annotations

from jupyter_turbopilot.server.routes.about import MetricsRoute
from jupyter_turbopilot.server.routes.base import Route
from jupyter_turbopilot.server.routes.copilot import CopilotNothingRoute, CopilotTokenRoute
from jupyter_turbopilot.server.routes.endpoint import Endpoint
from jupyter_turbopilot.server.routes.hierarchy import HierarchyRoute
from jupyter_turbopilot.server.routes.huggingface import GenerateRoute
from jupyter_turbopilot.server.routes.llamacpp import (
    CompletionRoute,
    InfillRoute,
    PropsRoute,
    SlotsRoute,
)
from jupyter_turbopilot.server.routes.manage import ModelsRoute, PullRoute
from jupyter_turbopilot.server.routes.native import CompleteRoute, FeedbackRoute, HealthRoute
from jupyter_turbopilot.server.routes.openai import CompletionsRoute, OpenAIModelsRoute
from jupyter_turbopilot.server.routes.openapi import document
from jupyter_turbopilot.server.routes.tokenization import DetokenizeRoute, TokenizeRoute


class OpenAPIRoute(Route):
    """`GET openapi.json`; it stands here because it describes the table that it is in."""

    @Endpoint()
    async def get(self) -> None:
        """Describe every route."""
        self.answer(document(ROUTES))


ROUTES: tuple[tuple[str, type[Route]], ...] = (
    ("complete", CompleteRoute),
    ("hierarchy", HierarchyRoute),
    ("infill", InfillRoute),
    ("completion", CompletionRoute),
    ("completions", CompletionRoute),
    ("tokenize", TokenizeRoute),
    ("detokenize", DetokenizeRoute),
    ("props", PropsRoute),
    ("slots", SlotsRoute),
    ("v1/completions", CompletionsRoute),
    ("v1/engines/([^/]+)/completions", CompletionsRoute),
    ("v1/models", OpenAIModelsRoute),
    ("v1/models/(.+)", OpenAIModelsRoute),
    ("copilot_internal/v2/token", CopilotTokenRoute),
    ("copilot_internal/user", CopilotNothingRoute),
    ("embeddings/models", CopilotNothingRoute),
    ("api/generate", GenerateRoute),
    ("feedback", FeedbackRoute),
    ("health", HealthRoute),
    ("v1/health", HealthRoute),
    ("metrics", MetricsRoute),
    ("openapi.json", OpenAPIRoute),
    ("models", ModelsRoute),
    ("models/pull", PullRoute),
)
