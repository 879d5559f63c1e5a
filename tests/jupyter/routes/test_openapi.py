from __future__ import annotations

from typing import Any

import pytest

from jupyter_turbopilot.jupyter.routes.openapi import document
from jupyter_turbopilot.jupyter.routes.table import loaded

PATHS: dict[str, Any] = document(loaded())["paths"]


def body_of(path: str, method: str) -> str:
    schema = PATHS[path][method]["requestBody"]["content"]["application/json"]["schema"]
    return str(schema["$ref"]).rpartition("/")[2]


def test_openapi_describes_each_method_with_its_own_body() -> None:
    assert body_of("/models/pull", "post") == "Pull"
    assert body_of("/models/pull", "delete") == "Select"
    assert body_of("/models", "post") == body_of("/models", "delete") == "Select"


def test_openapi_describes_exactly_the_declared_methods() -> None:
    described = {(path, method.upper()) for path, methods in PATHS.items() for method in methods}
    declared = {
        ("/" + path.replace("([^/]+)", "{name}").replace("(.+)", "{name}"), method)
        for path, route in loaded()
        for method in route.endpoints
    }
    assert described == declared


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("/complete", "post", {200, 400, 401, 403, 413, 415, 429, 503}),
        ("/feedback", "post", {204, 400, 401, 403, 413, 415}),
        ("/models", "get", {200, 401, 403}),
        ("/models", "post", {202, 400, 401, 403, 404, 413, 415, 503}),
        ("/v1/models/{name}", "get", {200, 401, 403, 404}),
    ],
)
def test_openapi_statuses_are_the_declared_ones(path: str, method: str, statuses: set[int]) -> None:
    assert {int(status) for status in PATHS[path][method]["responses"]} == statuses
