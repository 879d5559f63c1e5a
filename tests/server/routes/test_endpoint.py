from __future__ import annotations

import pytest

from jupyter_turbopilot.errors import BusyError, NotReadyError
from jupyter_turbopilot.request import Feedback, Select
from jupyter_turbopilot.server.routes.about import MissingRoute, StatusRoute
from jupyter_turbopilot.server.routes.base import Route
from jupyter_turbopilot.server.routes.endpoint import METHODS, Endpoint, endpoints
from jupyter_turbopilot.server.routes.jobs import JobRoute
from jupyter_turbopilot.server.routes.table import ROUTES


@pytest.mark.parametrize("method", METHODS)
def test_a_route_with_a_method_that_is_not_declared_cannot_be_defined(method: str) -> None:
    async def bare(self: Route) -> None:
        self.answer({})

    with pytest.raises(TypeError, match=f"Bare has methods without an Endpoint: {method}"):
        type("Bare", (Route,), {method.lower(): bare})


def test_a_method_is_found_by_its_name_in_a_subclass_too() -> None:
    class Parent(Route):
        @Endpoint(Feedback, status=204)
        async def post(self, feedback: Feedback) -> None:
            """Count."""

    class Child(Parent):
        @Endpoint(Select, access="manage")
        async def delete(self, chosen: Select) -> None:
            """Remove."""

    declared = endpoints(Child)
    assert {name: one.takes for name, one in declared.items()} == {"POST": Feedback, "DELETE": Select}
    assert (declared["POST"].status, declared["DELETE"].access) == (204, "manage")
    assert Child.delete.__doc__ == "Remove."


def test_only_what_changes_the_server_is_for_who_may_manage() -> None:
    managing = {
        (path, name)
        for path, route in ROUTES
        for name, one in endpoints(route).items()
        if one.access == "manage"
    }
    assert managing == {
        ("models", "POST"),
        ("models", "DELETE"),
        ("models/pull", "POST"),
        ("models/pull", "DELETE"),
        ("feedback", "DELETE"),
    }


def test_none_of_the_routes_that_a_jupyter_server_mounts_is_open() -> None:
    assert "open" not in {one.access for _, route in ROUTES for one in endpoints(route).values()}
    assert endpoints(StatusRoute)["GET"].access == "open"
    assert endpoints(MissingRoute) == {}


def test_whoever_has_something_written_may_find_the_model_busy_or_missing() -> None:
    writing = [route for _, route in ROUTES if issubclass(route, JobRoute)]
    assert len(writing) > 5
    assert all(route.errors == (BusyError, NotReadyError) for route in writing)
