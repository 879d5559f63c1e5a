"""The OpenAPI document of all routes, from what they declare. Pure."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_turbopilot.errors import (
    BadRequestError,
    BodyTooLargeError,
    RefusedError,
    WrongContentTypeError,
)
from jupyter_turbopilot.server.routes.endpoint import Endpoint, endpoints

if TYPE_CHECKING:
    from jupyter_turbopilot.server.routes.base import Route

_BODY_ERRORS = (BadRequestError, BodyTooLargeError, WrongContentTypeError)
_STATUSES = {200: "The answer.", 202: "It has begun.", 204: "Noted.", 404: "There is no such thing."}


@cache
def document(routes: tuple[tuple[str, type[Route]], ...]) -> dict[str, Any]:
    """Describe routes as OpenAPI does."""
    declared = [one for _, route in routes for one in endpoints(route).values()]
    kinds = list(dict.fromkeys(one.takes for one in declared if one.takes))
    schemas, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    bodies = dict(zip(kinds, schemas, strict=True))
    paths = {}
    for pattern, route in routes:
        path = re.sub(r"\([^()]*+\)", "{name}", pattern)
        paths[f"/{path}"] = {
            method.lower(): _operation(route, method, one, path, bodies)
            for method, one in endpoints(route).items()
        }
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
    route: type[Route], method: str, declared: Endpoint, path: str, bodies: dict[Any, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary(getattr(route, method.lower())),
        "description": (route.__doc__ or "").strip(),
        "responses": _responses(route, declared),
    }
    if "{name}" in path:
        operation["parameters"] = [
            {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        ]
    if declared.takes:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": bodies[declared.takes]}},
        }
    return operation


def _responses(route: type[Route], declared: Endpoint) -> dict[str, Any]:
    errors = (*route.errors, *declared.errors, *(_BODY_ERRORS if declared.takes else ()))
    found = {declared.status: _STATUSES[declared.status]}
    found |= {status: RefusedError(status).message for status in (401, 403)}
    found |= {error.status: summary(error) for error in errors}
    return {str(status): {"description": text} for status, text in sorted(found.items())}


def summary(thing: Any) -> str:
    """Return the first line of a docstring."""
    return (thing.__doc__ or "").strip().partition("\n")[0]
