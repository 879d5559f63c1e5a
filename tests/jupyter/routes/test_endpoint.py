from __future__ import annotations

import pytest

from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.jupyter.routes.endpoint import METHODS
from jupyter_turbopilot.jupyter.routes.manage import MissingRoute, StatusRoute
from jupyter_turbopilot.jupyter.routes.table import loaded


@pytest.mark.parametrize("method", METHODS)
def test_route_with_an_undeclared_method_raises(method: str) -> None:
    async def bare(self: Route) -> None:
        self.answer({})

    with pytest.raises(TypeError, match=f"Bare has methods without an Endpoint: {method}"):
        type("Bare", (Route,), {method.lower(): bare})


def test_only_state_changing_methods_require_managing() -> None:
    managing = {
        (path, name)
        for path, route in loaded()
        for name, one in route.endpoints.items()
        if one.access == "manage"
    }
    assert managing == {
        ("models", "POST"),
        ("models", "DELETE"),
        ("models/pull", "POST"),
        ("models/pull", "DELETE"),
        ("statistics", "DELETE"),
        ("index", "POST"),
        ("index", "DELETE"),
    }


def test_routes_of_a_jupyter_server_are_not_open() -> None:
    assert "open" not in {one.access for _, route in loaded() for one in route.endpoints.values()}
    assert StatusRoute.endpoints["GET"].access == "open"
    assert MissingRoute.endpoints == {}
