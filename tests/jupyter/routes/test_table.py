from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from jupyter_turbopilot.jupyter.routes import table
from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.util import registry

from .conftest import Ask

THEIRS = {"hello": f"{__name__}:HelloRoute"}
COLLIDING = {"complete": "other:Route", "v1/models/x": "another:Route", "hello": "third:Route"}
BROKEN = {"broken": "nosuch_module:Route"}


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register three more tables of routes."""
    found = registry.found
    more = tuple(registry.Entry(name, f"{__name__}:{name}") for name in ("THEIRS", "COLLIDING", "BROKEN"))
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
    assert registry.failures.keys() == {f"{value} at {path}" for path, value in COLLIDING.items()}
    assert len(caplog.records) == len(COLLIDING)
    assert registry.failures["other:Route at complete"] == f"the path is taken by {table.CORE['complete']}"


@pytest.mark.parametrize("routes", [["hello"], {"(": "a:Route"}])
def test_invalid_table_of_a_plugin_is_skipped(routes: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "INVALID", routes, raising=False)
    entry = registry.Entry("invalid", f"{table.__name__}:INVALID")
    monkeypatch.setattr(registry, "found", lambda _: (entry,))
    monkeypatch.setattr(registry, "failures", {})
    assert table.table.__wrapped__() == table.CORE
    assert [*registry.failures] == [entry.value]


def test_route_that_fails_to_import_is_missing(plugins: None) -> None:
    routes = dict(table.loaded())
    assert routes["broken"].__name__ == "MissingRoute"
    assert registry.failures["nosuch_module:Route"].startswith("ModuleNotFoundError")
    assert issubclass(routes["hello"], Route)


def test_mounted_routes_import_their_classes_for_the_first_request() -> None:
    code = (
        "import sys; from jupyter_turbopilot.jupyter.routes import table;"
        "[table.lazy(value, print) for value in table.table().values()];"
        "print([name for name in sys.modules if name.startswith('jupyter_turbopilot.jupyter.routes.')])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "['jupyter_turbopilot.jupyter.routes.table']"


async def test_lazy_route_streams_the_body_and_passes_its_arguments() -> None:
    listening, port = bind_unused_port()
    server = HTTPServer(
        web.Application([("/a/(.+)", table.lazy(f"{__name__}:Echo", lambda: "pilot"), {"word": "w"})])
    )
    server.add_sockets([listening])
    try:
        from tornado.httpclient import AsyncHTTPClient

        url = f"http://127.0.0.1:{port}/a/b"
        response = await AsyncHTTPClient().fetch(url, method="POST", body=b"body")
    finally:
        server.stop()
    assert json.loads(response.body) == ["pilot", "w", "b", "body"]


async def test_jupyter_server_accepts_the_mounted_routes(
    ask: Ask, jp_serverapp: Any, recwarn: pytest.WarningsRecorder
) -> None:
    handlers = [("/t/" + path, table.lazy(value, lambda: None)) for path, value in table.table().items()]
    jp_serverapp.web_app.settings["allow_unauthenticated_access"] = False
    jp_serverapp.web_app.add_handlers(".*$", handlers)
    assert [str(each.message) for each in recwarn if "endpoints without" in str(each.message)] == []


class HelloRoute(Route):
    """A route of another distribution."""


@web.stream_request_body
class Echo(web.RequestHandler):
    """Answers with its arguments and the body."""

    def initialize(self, pilot: str, word: str) -> None:
        self.given, self.body = [pilot, word], b""

    def data_received(self, chunk: bytes) -> None:
        self.body += chunk

    def post(self, name: str) -> None:
        self.finish(json.dumps([*self.given, name, self.body.decode()]))
