"""Tests for all routes of the table, so that new routes are covered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jupyter_server.auth.identity import User
from tornado import web

from jupyter_turbopilot.jupyter.routes.table import loaded

from .conftest import Ask

METHODS = ("get", "post", "put", "patch", "delete")
WALK = [
    (path.replace("([^/]+)", "any").replace("(.+)", "any"), method.upper(), getattr(route, method))
    for path, route in loaded()
    for method in METHODS
    if getattr(route, method) is not getattr(web.RequestHandler, method)
]
ENDS = [(path, method) for path, method, _ in WALK]
TAKING = [(path, method) for path, method, handle in WALK if handle.endpoint.takes]


def test_requests_cover_every_route() -> None:
    assert len({path for path, _ in ENDS}) == len({path for path, _ in loaded()})


@pytest.mark.parametrize(("path", "method"), ENDS)
async def test_every_route_requires_a_token(ask: Ask, jp_serverapp: Any, path: str, method: str) -> None:
    for authorization in ("", "token wrong", "Bearer wrong"):
        response = await ask(path, {}, method=method, headers={"Authorization": authorization})
        assert response.code == 403
        error = json.loads(response.body)["error"]
        assert error == "The server does not allow you to do this." or error["code"] == "forbidden"


@pytest.mark.parametrize(("path", "method"), ENDS)
async def test_denying_authorizer_blocks_the_engine(
    ask: Ask, jp_serverapp: Any, engine: Any, path: str, method: str
) -> None:
    asked: list[tuple[str, str]] = []

    class Deny:
        def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
            asked.append((action, resource))
            return False

    jp_serverapp.web_app.settings["authorizer"] = Deny()
    response = await ask(path, {"model": "smollm2-135m"}, method=method)
    assert response.code == 403
    assert asked[0][1] == "turbopilot"
    assert engine.prompts == []


def cookie_of_a_signed_in_user(app: Any) -> str:
    user = app.identity_provider.user_to_cookie(User("ann"))
    name = app.identity_provider.cookie_name or f"username-127-0-0-1-{app.port}"
    value = web.create_signed_value(app.web_app.settings["cookie_secret"], name, user)
    return f"{name}={value.decode()}"


@pytest.mark.parametrize(("path", "method"), [(p, m) for p, m in ENDS if m != "GET"])
async def test_cookie_alone_cannot_change_state(ask: Ask, jp_serverapp: Any, path: str, method: str) -> None:
    headers = {"Authorization": "", "Cookie": cookie_of_a_signed_in_user(jp_serverapp)}
    response = await ask(path, {"model": "smollm2-135m"}, method=method, headers=headers)
    assert response.code == 403


async def test_cookie_is_sufficient_for_get(ask: Ask, jp_serverapp: Any) -> None:
    headers = {"Authorization": "", "Cookie": cookie_of_a_signed_in_user(jp_serverapp)}
    assert (await ask("health", method="GET", headers=headers)).code == 200


@pytest.mark.parametrize(("path", "method"), ENDS)
async def test_other_origin_is_rejected(ask: Ask, jp_serverapp: Any, path: str, method: str) -> None:
    cookie = cookie_of_a_signed_in_user(jp_serverapp)
    headers = {"Authorization": "", "Origin": "https://evil.example", "Cookie": f"{cookie}; _xsrf=1"}
    response = await ask(path, {}, method=method, headers=headers)
    assert response.code == 403


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_unknown_path_returns_a_json_error_for_any_body(
    ask: Ask, ready: Any, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    response = await ask("nosuch/address", b"--x\r\nbroken", method=method, headers=headers)
    assert response.code == 404
    assert json.loads(response.body)["error"]
    assert [record for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}] == []
