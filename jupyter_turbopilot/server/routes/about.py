"""The server about itself: metrics, a page and a health check that are open to all, and what is not there."""

from __future__ import annotations

from html import escape
from importlib.metadata import version

from prometheus_client import CONTENT_TYPE_LATEST

from jupyter_turbopilot.errors import RefusedError, TurbopilotError
from jupyter_turbopilot.server.describe import describe_health
from jupyter_turbopilot.server.routes.base import Route
from jupyter_turbopilot.server.routes.contract import Health
from jupyter_turbopilot.server.routes.endpoint import Endpoint


class MetricsRoute(Route):
    """`GET metrics`."""

    _track_activity = False

    def refusal(self) -> TurbopilotError | None:
        """Refuse whoever is one of several people and does not manage the server."""
        return super().refusal() if self.sees_totals else self.not_manager()

    @Endpoint()
    async def get(self) -> None:
        """Return the metrics in Prometheus' format."""
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        await self.finish(self.metrics.text())


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Turbopilot</title>
<style>:root{{color-scheme:light dark;font:16px/1.5 system-ui}}
body{{max-width:40em;margin:3em auto;padding:0 1em}}</style>
<h1>Turbopilot {version}</h1><p role="status">{state}</p>
<p>For editors, behind this page's address: <code>/infill</code> and <code>/completion</code> (llama.cpp),
<code>/v1/completions</code> (OpenAI, FauxPilot), <code>/api/generate</code> (Hugging Face),
<code>/complete</code> (our own), <code>/openapi.json</code>. For whoever manages this server:
<code>/metrics</code>, <code>/models</code>.</p></html>
"""


class StatusRoute(Route):
    """`GET /` of a server of its own: a page for a person, the same for everybody."""

    _track_activity = False

    @property
    def content_security_policy(self) -> str:
        """Let the page's own style apply."""
        return f"{super().content_security_policy}; style-src 'unsafe-inline'"

    @Endpoint(access="open")
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

    @Endpoint(gives=Health, access="open")
    async def get(self) -> None:
        """Return whether the server is ready; without the key, only its status."""
        health = describe_health(self.pilot, own=self.is_learned_from, logged=self.is_logged)
        self.set_status(200 if health["ready"] else 503)
        if not self.current_user:
            health = {"status": health["status"]}
        elif not self.sees_totals:
            health["last_ms"] = None  # it may be somebody else's
        self.answer(health)


class MissingRoute(Route):
    """Every other address: Jupyter's own answer fails on some bodies."""

    def refusal(self) -> TurbopilotError:
        """Refuse every request."""
        return RefusedError(404)
