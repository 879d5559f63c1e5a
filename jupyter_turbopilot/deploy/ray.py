"""The public path of the Ray Serve application: `serve run jupyter_turbopilot.deploy.ray:app`."""

from __future__ import annotations

from jupyter_turbopilot.plugins.ray.app import app, middlewares

__all__ = ["app", "middlewares"]
