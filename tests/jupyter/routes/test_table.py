from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_server.base.handlers import APIHandler

from jupyter_turbopilot.jupyter.routes import table
from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.jupyter.routes.manage import MissingRoute
from jupyter_turbopilot.util import registry

from .conftest import Ask

THEIRS = {"hello": f"{__name__}:HelloRoute"}
COLLIDING = {"complete": "other:Route", "v1/models/x": "another:Route", "hello": "third:Route"}
BROKEN = {"broken": "nosuch_module:Route", "odd": f"{__name__}:Ask"}
MIXED = {"([a-z])/(?P<name>[0-9])": f"{__name__}:HelloRoute"}


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register three more tables of routes."""
    found = registry.found
    more = tuple(
        registry.Entry(name, f"{__name__}:{name}") for name in ("THEIRS", "COLLIDING", "BROKEN", "MIXED")
    )
    monkeypatch.setattr(registry, "found", lambda group: found(group) + more)
    monkeypatch.setattr(registry, "failures", {})
    table.table.cache_clear()
    yield
    table.table.cache_clear()


def test_routes_of_plugins_follow_the_own_ones(plugins: None) -> None:
    paths = table.table()
    assert list(paths)[: len(table.CORE)] == list(table.CORE)
    assert {path for path in paths if path not in table.CORE} >= {"infill", "v1/models", "hello", "broken"}


def test_colliding_paths_are_refused_and_reported(plugins: None, caplog: pytest.LogCaptureFixture) -> None:
    paths = table.table()
    assert paths["complete"] == table.CORE["complete"]
    assert paths["hello"] == THEIRS["hello"]
    assert "v1/models/x" not in paths
    colliding = {f"{value} at {path}" for path, value in COLLIDING.items()}
    assert registry.failures.keys() == {*colliding, f"{__name__}:MIXED"}
    assert len(caplog.records) == len(COLLIDING) + 1
    assert registry.failures["other:Route at complete"] == f"the path is taken by {table.CORE['complete']}"


def test_paths_without_a_usable_class_are_missing(plugins: None) -> None:
    classes = dict(table.loaded())
    assert classes["broken"] is classes["odd"] is MissingRoute
    assert classes["hello"] is HelloRoute


def test_mounted_routes_import_their_classes_for_the_first_request() -> None:
    code = (
        "import sys; from jupyter_turbopilot.jupyter.routes import table;"
        "[table.lazy(value, print) for value in table.table().values()];"
        "print([name for name in sys.modules if name.startswith('jupyter_turbopilot.jupyter.routes.')])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "['jupyter_turbopilot.jupyter.routes.table']"


def test_routes_are_at_most_two_classes_below_jupyters_handler() -> None:
    assert {route.__mro__.index(APIHandler) for _, route in table.loaded()} == {2}


async def test_jupyter_server_accepts_the_mounted_routes(
    ask: Ask, jp_serverapp: Any, recwarn: pytest.WarningsRecorder
) -> None:
    handlers = [("/t/" + path, table.lazy(value, lambda: None)) for path, value in table.table().items()]
    jp_serverapp.web_app.settings["allow_unauthenticated_access"] = False
    jp_serverapp.web_app.add_handlers(".*$", handlers)
    assert [str(each.message) for each in recwarn if "endpoints without" in str(each.message)] == []


class HelloRoute(Route):
    """A route of another distribution."""
