"""The OpenAPI document of all routes."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec

from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.jupyter.routes.endpoint import Endpoint
from jupyter_turbopilot.jupyter.routes.streams import NDJSON
from jupyter_turbopilot.jupyter.routes.table import loaded
from jupyter_turbopilot.protocol.contract import Failure
from jupyter_turbopilot.protocol.errors import (
    BadRequestError,
    BodyTooLargeError,
    RefusedError,
    WrongContentTypeError,
)

_BODY_ERRORS = (BadRequestError, BodyTooLargeError, WrongContentTypeError)
_STATUSES = {
    200: "Success.",
    202: "Accepted; work continues in the background.",
    204: "Recorded.",
}


@cache
def document(routes: tuple[tuple[str, type[Route]], ...]) -> dict[str, Any]:
    """Return the OpenAPI document of the routes."""
    kinds = list(dict.fromkeys([*schemas_of(routes), Failure]))
    written, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas = dict(zip(kinds, written, strict=True))
    paths = {}
    for pattern, route in routes:
        path = re.sub(r"\([^()]*+\)", "{name}", pattern)
        paths[f"/{path}"] = {
            method.lower(): _operation(route, method, endpoint, path, schemas)
            for method, endpoint in route.endpoints.items()
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


def schemas_of(routes: tuple[tuple[str, type[Route]], ...]) -> list[type[Any]]:
    """Return all schemas that routes declare, each once, in the order of the routes."""
    declared = [endpoint for _, route in routes for endpoint in route.endpoints.values()]
    kinds = [kind for each in declared for kind in (each.takes, each.gives, each.streams) if kind]
    return list(dict.fromkeys(kinds))


def _operation(
    route: type[Route], method: str, declared: Endpoint, path: str, schemas: dict[Any, Any]
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary(getattr(route, method.lower())),
        "description": (route.__doc__ or "").strip(),
        "responses": _responses(route, declared, schemas),
    }
    if "{name}" in path:
        operation["parameters"] = [
            {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        ]
    if declared.takes:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas[declared.takes]}},
        }
    return operation


def _responses(route: type[Route], declared: Endpoint, schemas: dict[Any, Any]) -> dict[str, Any]:
    errors = (*declared.errors, *(_BODY_ERRORS if declared.takes else ()))
    failures = {status: RefusedError(status).message for status in (401, 403)}
    failures |= {error.status: summary(error) for error in errors}
    answers = {"application/json": declared.gives, NDJSON: declared.streams}
    # Routes of other protocols have different error bodies.
    failed = {"application/json": Failure} if route.error_body is Route.error_body else {}
    responses = {declared.status: _response(_STATUSES[declared.status], answers, schemas)}
    responses |= {status: _response(text, failed, schemas) for status, text in failures.items()}
    return {str(status): response for status, response in sorted(responses.items())}


def _response(text: str, kinds: dict[str, Any], schemas: dict[Any, Any]) -> dict[str, Any]:
    content = {media: {"schema": schemas[kind]} for media, kind in kinds.items() if kind}
    return {"description": text} | ({"content": content} if content else {})


def summary(thing: Any) -> str:
    """Return the first line of a docstring."""
    return (thing.__doc__ or "").strip().partition("\n")[0]


class OpenAPIRoute(Route):
    """`GET openapi.json`."""

    @Endpoint()
    async def get(self) -> None:
        """Return the OpenAPI document of all routes."""
        self.answer(document(loaded()))
