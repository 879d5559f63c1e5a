"""Every route there is, by its path under `turbopilot/`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.server.routes.about import MetricsRoute, OpenAPIRoute
from jupyter_turbopilot.server.routes.copilot import CopilotNothingRoute, CopilotTokenRoute
from jupyter_turbopilot.server.routes.huggingface import GenerateRoute
from jupyter_turbopilot.server.routes.llamacpp import (
    CompletionRoute,
    DetokenizeRoute,
    InfillRoute,
    PropsRoute,
    SlotsRoute,
    TokenizeRoute,
)
from jupyter_turbopilot.server.routes.manage import ModelsRoute, PullRoute
from jupyter_turbopilot.server.routes.native import CompleteRoute, FeedbackRoute, HealthRoute
from jupyter_turbopilot.server.routes.openai import CompletionsRoute, OpenAIModelsRoute

if TYPE_CHECKING:
    from jupyter_turbopilot.server.routes.base import Route

ROUTES: tuple[tuple[str, type[Route]], ...] = (
    ("complete", CompleteRoute),
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
