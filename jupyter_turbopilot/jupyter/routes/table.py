"""All routes by their paths under `turbopilot/`. The class of a route is imported for its first request."""

from __future__ import annotations

import logging
import re
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from tornado import web
from tornado.routing import PathMatches

from jupyter_turbopilot.util import registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
    from jupyter_turbopilot.jupyter.routes.base import Route

_log = logging.getLogger("turbopilot")
_HERE = "jupyter_turbopilot.jupyter.routes."
CORE = {
    "complete": f"{_HERE}native:CompleteRoute",
    "fix": f"{_HERE}fixes:FixRoute",
    "check": f"{_HERE}fixes:CheckRoute",
    "rename": f"{_HERE}fixes:RenameRoute",
    "repeat": f"{_HERE}fixes:RepeatRoute",
    "feedback": f"{_HERE}native:FeedbackRoute",
    "statistics": f"{_HERE}native:StatisticsRoute",
    "health": f"{_HERE}manage:HealthRoute",
    "v1/health": f"{_HERE}manage:HealthRoute",
    "metrics": f"{_HERE}manage:MetricsRoute",
    "openapi.json": f"{_HERE}openapi:OpenAPIRoute",
    "models": f"{_HERE}manage:ModelsRoute",
    "models/pull": f"{_HERE}manage:PullRoute",
    "index": f"{_HERE}manage:NotebookIndexRoute",
}
MISSING = f"{_HERE}manage:MissingRoute"  # all other paths


@cache
def table() -> dict[str, str]:
    """Return where the class of each route is, by path: our own routes, then those of plugins.

    A plugin registers a dictionary like `CORE`. Its paths cannot replace any path before them.
    """
    paths = dict(CORE)
    for entry in registry.found("routes"):
        for path, value in (entry.load(_checked) or {}).items():
            if taken := next((known for known in paths if path == known or re.fullmatch(known, path)), ""):
                name, reason = f"{value} at {path}", f"the path is taken by {paths[taken]}"
                registry.failures[name] = reason
                _log.warning("Skipped the route %s: %s", name, reason)
            else:
                paths[path] = value
    return paths


def _checked(routes: Any) -> dict[str, str]:
    """Return a plugin's table; raise an error if it is none, or if tornado cannot match a path."""
    for path in routes:
        PathMatches("/" + path)
    return {path: f"{value}" for path, value in routes.items()}


def loaded() -> tuple[tuple[str, type[Route]], ...]:
    """Return all routes with their classes, for the OpenAPI document."""
    return tuple((path, _load(value)) for path, value in table().items())


def _load(value: str) -> type[Route]:
    """Import the class of a route; if that fails, the path has no route."""
    from jupyter_turbopilot.jupyter.routes.base import Route

    is_route = partial(registry.subclass_of, Route)
    return registry.Entry("", value).load(is_route) or registry.Entry("", MISSING).load()  # type: ignore[no-any-return]


def lazy(value: str, pilot: Callable[[], Pilot]) -> type[web.RequestHandler]:
    """Return a class whose instances are of the class that `value` names. `pilot` returns their pilot."""

    @web.stream_request_body  # like `Route`
    class LazyRoute(web.RequestHandler):
        """Stands for the class of a route until its first request. Its methods are never called."""

        def __new__(cls, *given: Any, **named: Any) -> Any:
            return _load(value)(*given, pilot=pilot(), **named)

    return LazyRoute
