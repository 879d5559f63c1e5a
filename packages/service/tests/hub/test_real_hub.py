"""A real JupyterHub with its proxy, the service, and the servers of two users."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jupyterhub.services.auth import HubAuth, check_scopes

from jupyter_turbopilot.protocol.errors import MISSING_SCOPE
from jupyter_turbopilot.settings.access import OFF, ONLY_REMOTE
from tests.tiny_model import write_tiny_model
from turbopilot_service.hub.client import MANAGE_SCOPE, Hub

from .real_hub import PREFIX, PROXY, RealHub, wait

SCOPE = "access:services!service=turbopilot"
TEXT = "secret_plan = "
ASKED = {"prompt": TEXT, "max_tokens": 2, "temperature": 0}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    if not PROXY.exists():
        pytest.fail("The hub's proxy is not here. Run: make .make/npm")
    folder = tmp_path_factory.mktemp("hub")
    (folder / "models").mkdir()
    model = write_tiny_model(folder / "models" / "tiny.gguf")
    lean = {"JUPYTERHUB_SINGLEUSER_APP": "jupyter_server.serverapp.ServerApp"}
    hub = RealHub(folder / "hub", model, environment=lean, flags=("--Turbopilot.eagerness=always",))
    try:
        hub.start_servers()
        hub.wait_for_engines()
        yield hub
    finally:
        hub.stop()


def ask(hub: RealHub, token: str, **changes: Any) -> httpx.Response:
    """Request a completion from the service through the hub's proxy."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.post(f"{hub.through}/v1/completions", headers=headers, json=ASKED | changes, timeout=30)


def complete(hub: RealHub, name: str, token: str, source: str) -> httpx.Response:
    """Request a completion from a user's server."""
    return httpx.post(
        f"{hub.url}/user/{name}/turbopilot/complete",
        headers={"Authorization": f"token {token}"},
        json={"cells": [{"source": source}], "offset": len(source), "max_tokens": 3},
        timeout=30,
    )


def test_all_users_servers_complete_with_the_shared_model(hub: RealHub) -> None:
    for name in hub.people:
        token = hub.token(name)
        answer = complete(hub, name, token, f"{name} = ")
        assert (answer.status_code, answer.json()["model"]) == (200, "tiny.gguf")
        headers = {"Authorization": f"token {token}"}
        health = httpx.get(f"{hub.url}/user/{name}/turbopilot/health", headers=headers).json()
        assert health["address"] == f"127.0.0.1:{hub.service}"


def test_token_without_the_scope_gets_the_scopes_name(hub: RealHub) -> None:
    with_scope = hub.token("bob", SCOPE)
    assert ask(hub, with_scope).status_code == 200
    without = hub.token("bob", "users:activity!user=bob", "access:servers!user=bob")
    for token in (without, hub.other_token):
        refused = ask(hub, token)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, MISSING_SCOPE)
        assert f"the scope {SCOPE} " in refused.json()["error"]["message"]
    health = httpx.get(f"{hub.through}/health")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})


def test_cookies_and_url_tokens_do_not_authenticate(hub: RealHub) -> None:
    token = hub.token("bob")
    cookies = {"Cookie": f"jupyterhub-services={token}; token={token}"}
    assert httpx.get(f"{hub.through}/v1/models", headers=cookies).status_code == 401
    assert httpx.get(f"{hub.through}/v1/models?token={token}").status_code == 401


def test_only_administrators_manage(hub: RealHub) -> None:
    statuses = []
    for name in hub.people:
        headers = {"Authorization": f"Bearer {hub.token(name)}"}
        choice = {"model": "not-there"}
        statuses.append(httpx.post(f"{hub.through}/models", headers=headers, json=choice).status_code)
        listing = httpx.get(f"{hub.through}/models", headers=headers).json()
        assert ("models" in listing) == (name == "ada")
        figures = httpx.get(f"{hub.through}/metrics", headers=headers).status_code
        assert figures == (200 if name == "ada" else 403)
    assert statuses == [404, 403]  # only the administrator's request looks up the model
    # A token with the scopes of the one that an administrator's notebook can read.
    server = hub.token("ada", SCOPE, "users:activity!user=ada", "access:servers!user=ada")
    managing = hub.token("ada", SCOPE, MANAGE_SCOPE)
    for token, status in ((server, 403), (managing, 404)):
        answer = httpx.request("DELETE", f"{hub.through}/models", headers={"Authorization": f"Bearer {token}"}, json={"model": "not-there"})  # fmt: skip
        assert answer.status_code == status
        assert (MANAGE_SCOPE in answer.text) == (status == 403)


def test_prometheus_needs_only_the_documented_scopes(hub: RealHub) -> None:
    def metrics(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(f"{hub.through}/metrics", headers=headers).status_code

    assert metrics(hub.metrics_token) == 200
    for path in ("users", "services"):
        headers = {"Authorization": f"token {hub.metrics_token}"}
        assert httpx.get(f"{hub.api_url}/{path}", headers=headers).status_code == 403


def health(hub: RealHub, name: str) -> Any:
    headers = {"Authorization": f"token {hub.token(name)}"}
    return httpx.get(f"{hub.url}/user/{name}/turbopilot/health", headers=headers).json()


def test_excluded_users_see_that_the_administrator_switched_off(hub: RealHub) -> None:
    names = ("eve", "max", "kim")
    for name in names:
        hub.admin.post(f"/users/{name}").raise_for_status()
        config = hub.folder / "home" / name / ".jupyter"
        config.mkdir(parents=True)
        (config / "jupyter_turbopilot_config.py").write_text("c.Turbopilot.enabled = True\n")
    (config / "jupyter_turbopilot_config.py").write_text('c.Turbopilot.engine = "llama"\n')
    hub.admin.post("/groups/exam", json={"users": ["max"]}).raise_for_status()
    hub.admin.post("/groups/turbopilot/users", json={"users": ["max", "kim"]}).raise_for_status()
    hub.start_servers(*names)
    assert [ask(hub, hub.token(name)).status_code for name in names] == [403, 200, 200]
    for name, reason in zip(names, ("account may not use", OFF, ONLY_REMOTE), strict=True):
        wait(lambda name=name: health(hub, name)["code"] == "disabled", what=f"{name}'s engine")
        assert reason in health(hub, name)["reason"]
        answer = complete(hub, name, hub.token(name), "x = ")
        assert answer.json()["error"]["code"] == "disabled"


@pytest.mark.parametrize("path", ["", "/", "//health", "/health/", "/v1/models"])
def test_routes_have_the_services_prefix(hub: RealHub, path: str) -> None:
    headers = {"Authorization": f"Bearer {hub.token('bob')}"}
    for base in (hub.through, hub.direct):
        assert httpx.get(base + path, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path", ["/health", "/services/turbopilotx/health", f"/x{PREFIX}/health", f"{PREFIX}/none"]
)
def test_other_paths_return_404(hub: RealHub, path: str) -> None:
    headers = {"Authorization": f"Bearer {hub.token('bob')}"}
    assert httpx.get(f"http://127.0.0.1:{hub.service}{path}", headers=headers).status_code == 404


def test_users_are_parsed_like_jupyterhub_parses_them(hub: RealHub) -> None:
    theirs = HubAuth(api_url=hub.api_url, api_token=hub.other_token)

    async def both(token: str) -> None:
        ours = Hub(hub.api_url)
        model, person = (
            await theirs.user_for_token(token, use_cache=False, sync=False),
            await ours.token_owner(token),
        )
        await ours.close()
        assert (model is None) == (person is None)
        if model and person:
            assert (person.name, person.kind) == (model["name"], model["kind"])
            assert person.admin == model.get("admin", False)
            assert person.may_use("turbopilot") == bool(check_scopes({SCOPE}, set(model["scopes"])))

    async def go() -> None:
        scopes = [(), (SCOPE,), ("access:services",), ("users:activity!user=ada",)]
        for token in (
            *(hub.token("ada", *each) for each in scopes),
            hub.token("bob"),
            "f" * 32,
            hub.other_token,
        ):
            await both(token)

    asyncio.run(go())


def test_restarted_hub_recognizes_all_users(hub: RealHub) -> None:
    token = hub.token("bob")
    hub.stop_hub()  # it also stops its service, but not the users' servers
    hub.start_hub()
    wait(hub.ready, what="the service")
    assert ask(hub, token).status_code == 200
    wait(lambda: complete(hub, "bob", token, "again = ").status_code == 200, what="bob's server")


def test_missing_model_is_reported_and_recovers(hub: RealHub) -> None:
    token = hub.token("ada")
    hub.stop_service()
    wait(lambda: complete(hub, "ada", token, f"gone{time.monotonic()} = ").status_code == 503)
    (hub.folder / "service.default").touch()
    hub.start_service(ready=False)
    try:
        complete(hub, "ada", token, f"missing{time.monotonic()} = ")
        wait(lambda: "no usable model" in (health(hub, "ada")["reason"] or ""), what="the reason")
        assert not health(hub, "ada")["ready"]
        managing = hub.token("ada", SCOPE, MANAGE_SCOPE)
        headers = {"Authorization": f"Bearer {managing}"}
        reason = httpx.get(f"{hub.direct}/health", headers=headers).json()["reason"]
        folder = f"The models folder is {hub.folder.parent / 'models'}."
        for text in (reason, hub.service_log()):
            assert folder in text
            assert "TURBOPILOT_MODELS" in text
    finally:
        hub.stop_service()
        (hub.folder / "service.default").unlink()
        hub.start_service()
    wait(lambda: complete(hub, "ada", token, f"back{time.monotonic()} = ").status_code == 200)


def test_service_log_contains_no_user_data(hub: RealHub) -> None:
    token = hub.token("ada")
    assert ask(hub, token).status_code == 200
    assert ask(hub, "f" * 32).status_code == 401
    log = hub.service_log()
    assert "Serving on" in log
    for private in (token, TEXT.strip(), "ada", "bob", "f" * 32, hub.admin_token):
        assert private not in log.replace(str(hub.folder), "")
