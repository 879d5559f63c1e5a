"""Off switches of the administrator and of a notebook, at every route that generates."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.jupyter.routes import admission
from jupyter_turbopilot.jupyter.runtime import PRIVATE
from jupyter_turbopilot.settings.access import DENIED, LOCAL_ENGINES, OFF, ONLY_REMOTE, PATHLESS, UNCHECKED

from ...index.notebooks import write
from ...scripted_engine import ScriptedEngine
from .conftest import Ask, complete_body, error_of, write_disabled_notebook

OFF_CONFIG = {"enabled": False}
DENY_EXAMS = {"denied_paths": ["exams/**"]}
RAW = {
    "infill": {"input_prefix": "x = ", "input_suffix": ""},
    "completion": {"prompt": "x = "},
    "completions": {"prompt": "x = "},
    "v1/completions": {"prompt": "x = "},
    "v1/engines/copilot-codex/completions": {"prompt": "x = ", "stream": True},
    "api/generate": {"inputs": "x = "},
}
NATIVE = {"complete": complete_body(), "helpers": {"source": "def f():"}}
BODIES = RAW | NATIVE
every_route = pytest.mark.parametrize("route", BODIES)


def message_of(body: bytes) -> str:
    error = json.loads(body)["error"]
    return str(error if isinstance(error, str) else error["message"])


@every_route
@pytest.mark.parametrize("server_traits", [OFF_CONFIG])
async def test_disabled_server_refuses_every_route(ask: Ask, pilot: Any, route: str) -> None:
    response = await ask(route, BODIES[route] | {"path": "a.ipynb"})
    assert (response.code, message_of(response.body)) == (403, OFF)


@pytest.mark.parametrize("server_traits", [OFF_CONFIG])
async def test_disabled_server_loads_and_offers_no_model(ask: Ask, pilot: Any) -> None:
    pilot.start()
    health = json.loads((await ask("health", method="GET")).body)
    named = {name: health[name] for name in ("ready", "phase", "code", "reason", "notebook_index")}
    assert named == {
        "ready": False,
        "phase": "failed",
        "code": "disabled",
        "reason": OFF,
        "notebook_index": None,
    }
    assert json.loads((await ask("models", method="GET")).body)["models"] == []
    for route, method in (("models", "POST"), ("models/pull", "POST")):
        response = await ask(route, {"model": pilot.selected}, method)
        assert (response.code, error_of(response)["code"]) == (403, "disabled")
    assert pilot.worker.engine is None


@every_route
@pytest.mark.parametrize("server_traits", [DENY_EXAMS])
async def test_denied_paths_refuse_requests_without_a_path(ask: Ask, ready: Any, route: str) -> None:
    response = await ask(route, BODIES[route])
    assert (response.code, message_of(response.body)) == (403, PATHLESS)


@pytest.mark.parametrize("route", NATIVE)
@pytest.mark.parametrize("server_traits", [DENY_EXAMS])
@pytest.mark.parametrize("path", ["exams/a.ipynb", "RTC:exams/a.ipynb", "work/../exams/deep/a.py"])
async def test_denied_paths_refuse_notebooks_below(ask: Ask, ready: Any, route: str, path: str) -> None:
    response = await ask(route, NATIVE[route] | {"path": path, "enabled": True})
    assert (response.code, error_of(response)["code"], message_of(response.body)) == (403, "disabled", DENIED)


@pytest.mark.parametrize("route", NATIVE)
@pytest.mark.parametrize("path", [".env", "work/secrets.toml", "RTC:.env", ".aws/a.py"])
async def test_files_with_credentials_are_refused(
    ask: Ask, ready: Any, engine: ScriptedEngine, route: str, path: str
) -> None:
    response = await ask(route, NATIVE[route] | {"path": path, "enabled": True})
    assert (response.code, error_of(response)["code"], message_of(response.body)) == (
        403,
        "disabled",
        PRIVATE,
    )
    assert not engine.prompts


@pytest.mark.parametrize("route", NATIVE)
async def test_links_to_files_with_credentials_are_refused(
    ask: Ask,
    ready: Any,
    jp_root_dir: Path,
    engine: ScriptedEngine,
    route: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admission, "LINK_SECONDS", 60)  # on a busy machine, too
    (jp_root_dir / "a.py").symlink_to(".env")
    response = await ask(route, NATIVE[route] | {"path": "a.py", "enabled": True})
    assert (response.code, message_of(response.body)) == (403, PRIVATE)
    documents = [{"path": "a.py", "source": "def load(): return solution"}]
    body = {"cells": [{"source": "load()\nx = "}], "offset": 11, "documents": documents}
    assert (await ask("complete", body | {"path": "b.py", "enabled": True})).code == 200
    assert "solution" not in engine.prompts[-1]


@pytest.mark.parametrize("route", NATIVE)
@pytest.mark.parametrize("server_traits", [DENY_EXAMS])
async def test_denied_paths_refuse_links_to_them(
    ask: Ask, ready: Any, jp_root_dir: Path, engine: ScriptedEngine, route: str
) -> None:
    (jp_root_dir / "exams").mkdir()
    (jp_root_dir / "x").symlink_to("exams")
    response = await ask(route, NATIVE[route] | {"path": "x/a.ipynb", "enabled": True})
    assert (response.code, message_of(response.body)) == (403, DENIED)
    documents = [{"path": "x/b.ipynb", "source": "def load(): return solution"}]
    body = {"cells": [{"source": "load()\nx = "}], "offset": 11, "documents": documents}
    assert (await ask("complete", body | {"path": "a.ipynb", "enabled": True})).code == 200
    assert "solution" not in engine.prompts[-1]


@pytest.mark.parametrize("server_traits", [DENY_EXAMS])
async def test_path_on_a_disk_that_does_not_respond_is_refused(
    ask: Ask, ready: Any, pilot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    responds, realpath = threading.Event(), os.path.realpath
    calls = []

    def wait(path: Any, **given: Any) -> str:
        if Path(path).name == "a.ipynb":
            calls.append(path)
            responds.wait(60)
        return realpath(path, **given)

    monkeypatch.setattr(os.path, "realpath", wait)
    monkeypatch.setattr(admission, "DISK_SECONDS", 0.05)
    body = complete_body(path="dead/a.ipynb", enabled=True)
    for _ in range(3):
        response = await ask("complete", body)
        assert (response.code, message_of(response.body)) == (403, UNCHECKED)
    assert len(calls) == 1
    monkeypatch.setattr(admission, "DISK_SECONDS", 60)
    assert (await ask("complete", complete_body(path="b.ipynb", enabled=True))).code == 200
    responds.set()
    assert (await ask("complete", body)).code == 200


@pytest.mark.parametrize("trigger", ["automatic", "invoke", "warmup", "prefetch"])
@pytest.mark.parametrize("server_traits", [DENY_EXAMS])
async def test_denied_paths_refuse_every_trigger(
    ask: Ask, ready: Any, engine: ScriptedEngine, trigger: str
) -> None:
    response = await ask("complete", complete_body(path="exams/a.ipynb", trigger=trigger))
    assert response.code == 403
    assert engine.prompts == []


@pytest.mark.parametrize("server_traits", [DENY_EXAMS])
async def test_denied_documents_are_left_out_of_the_prompt(
    ask: Ask, ready: Any, engine: ScriptedEngine
) -> None:
    documents = [
        {"path": path, "source": f"def load_prices(): return {name}"}
        for path, name in (("exams/b.ipynb", "solution"), ("", "unnamed"), ("c.ipynb", "allowed"))
    ]
    cells = [{"source": "a = load_prices()"}, {"source": "x = "}]
    body = {
        "cells": cells,
        "active": 1,
        "offset": 4,
        "path": "a.ipynb",
        "documents": documents,
        "enabled": True,
    }
    assert (await ask("complete", body)).code == 200
    (prompt,) = engine.prompts
    assert "return allowed" in prompt
    assert "solution" not in prompt
    assert "unnamed" not in prompt


@pytest.fixture
def session(jp_serverapp: Any, jp_asyncio_loop: Any) -> Iterator[Any]:
    """A session in the denied folder, whose kernel a console outside shares."""
    manager = jp_serverapp.session_manager
    (Path(jp_serverapp.root_dir) / "exams").mkdir()

    def create(path: str, **more: Any) -> Any:
        return jp_asyncio_loop.run_until_complete(manager.create_session(path=path, name=path, **more))

    console = create("console-1", type="console", kernel_name="python3")
    kernel_id = console["kernel"]["id"]
    yield create("exams/a.ipynb", type="notebook", kernel_id=kernel_id)
    jp_asyncio_loop.run_until_complete(jp_serverapp.kernel_manager.shutdown_all(now=True))


@pytest.mark.parametrize("route", NATIVE)
@pytest.mark.parametrize("server_traits", [DENY_EXAMS])
async def test_denied_paths_include_the_session_of_the_kernel(
    ask: Ask, ready: Any, session: Any, route: str
) -> None:
    for path in ("harmless.ipynb", ""):
        body = NATIVE[route] | {"path": path, "kernel_id": session["kernel"]["id"], "enabled": True}
        response = await ask(route, body)
        assert (response.code, message_of(response.body)) == (403, DENIED)


@pytest.mark.parametrize("route", NATIVE)
async def test_credentials_in_another_session_of_the_kernel_do_not_refuse(
    ask: Ask, ready: Any, session: Any, jp_serverapp: Any, route: str
) -> None:
    kernel_id = session["kernel"]["id"]
    manager = jp_serverapp.session_manager
    await manager.create_session(path=".env", name=".env", type="file", kernel_id=kernel_id)
    for path, status in (("harmless.ipynb", 200), (".env", 403)):
        assert (await ask(route, NATIVE[route] | {"path": path, "kernel_id": kernel_id})).code == status


@pytest.mark.parametrize("route", NATIVE)
async def test_notebook_disables_itself(ask: Ask, ready: Any, jp_root_dir: Path, route: str) -> None:
    write_disabled_notebook(jp_root_dir)
    write(jp_root_dir, "own.ipynb", "x = 1")
    for path, enabled, status in (
        ("lesson.ipynb", None, 403),
        ("RTC:lesson.ipynb", None, 403),
        ("lesson.ipynb", True, 200),  # the page has enabled it and not saved it yet
        ("own.ipynb", None, 200),
        ("own.ipynb", False, 403),
        ("missing.ipynb", None, 200),
        ("", None, 200),
    ):
        response = await ask(route, NATIVE[route] | {"path": path, "enabled": enabled})
        assert response.code == status, path
        if status == 403:
            assert error_of(response)["code"] == "disabled_in_notebook"


@pytest.mark.parametrize(
    "server_traits", [{"denied_paths": ["**"]}, {"denied_paths": [3]}, {"enabled": "no"}]
)
async def test_invalid_setting_switches_off_and_leaves_the_server_working(
    ask: Ask, pilot: Any, jp_fetch: Any, jp_serverapp: Any
) -> None:
    assert pilot.access.is_invalid
    assert (await ask("complete", complete_body(path="a.ipynb"))).code == 403
    assert json.loads((await ask("health", method="GET")).body)["reason"] == pilot.access.reason
    assert (await jp_fetch("api", "status")).code == 200
    assert jp_serverapp.web_app.settings["page_config_data"]["jupyterTurbopilot"] == "server only"


@pytest.mark.parametrize("server_traits", [OFF_CONFIG, DENY_EXAMS])
async def test_page_must_not_run_a_model_while_completion_is_restricted(
    jp_serverapp: Any, server_traits: Any
) -> None:
    assert jp_serverapp.web_app.settings["page_config_data"]["jupyterTurbopilot"] == "server only"


@pytest.fixture
def only_remote(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOCAL_ENGINES, "0")


@pytest.mark.parametrize("server_traits", [{"engine": "llama"}])
async def test_environment_forbids_a_configured_local_engine(
    only_remote: None, ask: Ask, pilot: Any, jp_serverapp: Any
) -> None:
    pilot.start()
    response = await ask("complete", complete_body(path="a.ipynb"))
    assert (response.code, error_of(response)["code"]) == (403, "disabled")
    assert message_of(response.body) == ONLY_REMOTE
    assert pilot.worker.engine is None
    assert jp_serverapp.web_app.settings["page_config_data"]["jupyterTurbopilot"] == "server only"


@pytest.mark.parametrize(
    "server_traits", [{"engine": "remote", "load_at_start": False, "notebook_index": False}]
)
async def test_environment_that_forbids_local_engines_includes_the_page(
    only_remote: None, pilot: Any, jp_serverapp: Any
) -> None:
    assert not pilot.access.reason
    assert jp_serverapp.web_app.settings["page_config_data"]["jupyterTurbopilot"] == "server only"


@pytest.mark.parametrize("route", NATIVE)
async def test_saved_notebook_is_read_only_for_callers_who_may_read_it(
    ask: Ask, ready: Any, jp_serverapp: Any, jp_root_dir: Path, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    write_disabled_notebook(jp_root_dir)
    may = lambda *given: given[3:] != ("read", "contents")  # noqa: E731
    monkeypatch.setattr(type(jp_serverapp.authorizer), "is_authorized", may)
    assert (await ask(route, NATIVE[route] | {"path": "lesson.ipynb"})).code == 200


@pytest.mark.parametrize("route", NATIVE)
@pytest.mark.parametrize("server_traits", [DENY_EXAMS | {"requests_per_minute": 1}])
async def test_refusals_name_the_reason_instead_of_the_rate_limit(ask: Ask, ready: Any, route: str) -> None:
    codes = [
        error_of(await ask(route, NATIVE[route] | {"path": path, "enabled": enabled}))["code"]
        for path, enabled in [("exams/a.ipynb", True), ("a.ipynb", False)] * 2
    ]
    assert codes == ["disabled", "disabled_in_notebook"] * 2
    assert (await ask(route, NATIVE[route] | {"path": "a.ipynb", "enabled": True})).code == 200


@pytest.mark.parametrize("route", NATIVE)
@pytest.mark.parametrize("server_traits", [DENY_EXAMS | {"requests_per_minute": 1}])
async def test_looking_up_the_sessions_of_a_kernel_is_limited(
    ask: Ask, ready: Any, session: Any, route: str
) -> None:
    body = NATIVE[route] | {"path": "harmless.ipynb", "kernel_id": session["kernel"]["id"], "enabled": True}
    codes = [error_of(await ask(route, body))["code"] for _ in range(2)]
    assert codes == ["disabled", "too_many_requests"]


@pytest.mark.parametrize("server_traits", [{"requests_per_minute": 1}])
async def test_reading_saved_notebooks_is_limited(ask: Ask, ready: Any, jp_root_dir: Path) -> None:
    write_disabled_notebook(jp_root_dir)
    responses = [await ask("complete", complete_body(path="lesson.ipynb")) for _ in range(2)]
    assert [error_of(one)["code"] for one in responses] == ["disabled_in_notebook", "too_many_requests"]
