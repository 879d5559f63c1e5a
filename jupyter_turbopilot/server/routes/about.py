"""The server about itself: metrics for Prometheus, and an OpenAPI document of what is checked."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from importlib.metadata import version
from typing import Any

import msgspec
from jupyter_server.auth.decorator import allow_unauthenticated, authorized
from prometheus_client import CONTENT_TYPE_LATEST
from tornado import web

from jupyter_turbopilot.server.describe import describe_health
from jupyter_turbopilot.server.routes.base import Route

_METHODS = ("get", "post", "delete")


class MetricsRoute(Route):
    """`GET metrics`."""

    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Tell what was counted."""
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        await self.finish(self.metrics.text())


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Turbopilot</title>
<style>:root{{color-scheme:light dark;font:16px/1.5 system-ui}}
body{{max-width:40em;margin:3em auto;padding:0 1em}}</style>
<h1>Turbopilot {version}</h1><p role="status">{state}</p>
<p>Editors: <code>/infill</code> and <code>/completion</code> (llama.cpp), <code>/v1/completions</code>
(OpenAI, FauxPilot), <code>/api/generate</code> (Hugging Face), <code>/complete</code> (our own).
With the key: <code>/metrics</code>, <code>/openapi.json</code>, <code>/models</code>.</p></html>
"""


class StatusRoute(Route):
    """`GET /` of a server of its own: a page for a person, the same for everybody."""

    _track_activity = False

    @allow_unauthenticated
    async def get(self) -> None:
        """Show whether it is ready; who asks under another host's name is told nothing."""
        health = describe_health(self.pilot)
        state = f"{health['model']}: {'ready' if health['ready'] else health['phase']}."
        self.set_header("Content-Type", "text/html; charset=utf-8")
        page = PAGE.format(version=version("jupyter-turbopilot"), state=escape(state))
        await self.finish(page)


class OpenHealthRoute(Route):
    """`GET /health` of a server of its own: anybody may look whether it can answer."""

    _track_activity = False

    @allow_unauthenticated
    async def get(self) -> None:
        """Tell how we are; without the key only whether we can answer."""
        health = describe_health(self.pilot)
        self.set_status(200 if health["ready"] else 503)
        self.answer(health if self.current_user else {"status": health["status"]})


class MissingRoute(Route):
    """Every other address: Jupyter's own answer fails on some bodies."""

    def _refusal(self) -> int:
        return 404


class OpenAPIRoute(Route):
    """`GET openapi.json`."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Describe every route."""
        from jupyter_turbopilot.server.routes.table import ROUTES

        self.answer(document(ROUTES))


@cache
def document(routes: tuple[tuple[str, type[Route]], ...]) -> dict[str, Any]:
    """Describe routes as OpenAPI does."""
    kinds = list(dict.fromkeys(route.accepts for _, route in routes if route.accepts))
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    bodies = dict(zip(kinds, schemas, strict=True))
    paths: dict[str, Any] = {}
    for pattern, route in routes:
        path = re.sub(r"\([^()]*+\)", "{name}", pattern)
        described: dict[str, Any] = {}
        for method in _METHODS:
            function = getattr(route, method)
            if function is getattr(web.RequestHandler, method):
                continue
            described[method] = _operation(route, method, function.__doc__ or "", path, bodies)
        paths[f"/{path}"] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "Turbopilot", "version": version("jupyter-turbopilot")},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def _operation(
    route: type[Route], method: str, words: str, path: str, bodies: dict[Any, Any]
) -> dict[str, Any]:
    answers = {
        "200": "The answer.", "202": "It has begun.", "204": "Noted.", "400": "The request is wrong.",
        "401": "Sign in.", "403": "You may not do that.", "404": "There is no such thing.",
        "409": "It was stopped.", "413": "Too much was sent.", "415": "Send application/json.",
        "422": "The model was refused.", "429": "Too much to do; come back.", "502": "A source failed.",
        "503": "No model is loaded.",
    }  # fmt: skip
    found: dict[str, Any] = {
        "summary": words.strip().partition("\n")[0],
        "description": (route.__doc__ or "").strip(),
        "responses": {status: {"description": text} for status, text in answers.items()},
    }
    if "{name}" in path:
        found["parameters"] = [
            {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        ]
    if method != "get" and route.accepts:
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": bodies[route.accepts]}},
        }
    return found
