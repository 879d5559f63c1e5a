from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest

from jupyter_turbopilot.completer.raw_plan import priority_of
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.jupyter.routes import admission as admissions
from jupyter_turbopilot.jupyter.routes.jobs import Completions
from jupyter_turbopilot.protocol.engine_request import ExactRequest, RawRequest
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.protocol.request import Cell, Completion

from ...serve_app import ServeApp
from .conftest import Ask, Named, complete_body, error_of


async def test_empty_answer_is_an_error_with_the_reason(
    ask: Ask, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(_completions: Any, _requests: Any) -> AsyncGenerator[tuple[int, Reply]]:
        async def replies() -> AsyncGenerator[tuple[int, Reply]]:
            yield 0, Reply("id", done=True, finish_reason="deadline")

        return replies()

    monkeypatch.setattr(Completions, "batch", late)
    response = await ask("v1/completions", {"prompt": "x"})
    assert (response.code, error_of(response)["code"]) == (503, "deadline")
    assert "time limit was reached" in error_of(response)["message"]


async def test_completions_require_admission(
    ask: Ask, ready: Any, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def admit(*_: Any, **__: Any) -> None: ...

    monkeypatch.setattr(admissions, "admit", admit)
    assert (await ask("complete", complete_body())).code == 500
    assert engine.prompts == []


async def test_load_level_is_read_once_for_a_request(
    ask: Ask, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels, seen, submit = iter(Level), [], ready.completer.submit

    def noted(request: Any, listener: Any, admission: Any) -> Any:
        seen.append(admission.level)
        return submit(request, listener, admission)

    monkeypatch.setattr(ready.worker, "level", lambda _: next(levels))
    monkeypatch.setattr(ready.completer, "submit", noted)
    assert (await ask("v1/completions", {"prompt": ["x", "y"], "max_tokens": 1})).code == 200
    assert seen == [*Level][:1] * 2


async def test_vocabulary_without_a_model_raises(ask: Ask, pilot: Any) -> None:
    response = await ask("tokenize", {"content": "x"})
    assert response.code == 503
    assert error_of(response)["message"]


@pytest.fixture
def tenants(ready: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tenants of the requests."""
    seen: list[str] = []
    submit = ready.completer.submit

    def noted(request: Any, listener: Any, admission: Any) -> Any:
        seen.append(admission.tenant)
        return submit(request, listener, admission)

    monkeypatch.setattr(ready.completer, "submit", noted)
    return seen


async def test_server_token_and_kernels_have_no_tenant(
    ask: Ask, tenants: list[str], jp_serverapp: Any
) -> None:
    (app,) = jp_serverapp.extension_manager.extension_apps["jupyter_turbopilot"]
    for headers in ({}, {"X-Turbopilot-Secret": app._secret, "Authorization": ""}):
        assert (await ask("complete", complete_body(), headers=headers)).code == 200
    assert tenants == ["", ""]


async def test_collaborators_have_tenants_but_not_the_owner(
    ask: Ask, tenants: list[str], jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(jp_serverapp.web_app.settings, "identity_provider", Named(parent=jp_serverapp))
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    for name in ("ada", "bob", "eve", "bob"):
        assert (await ask("complete", complete_body(), headers={"X-Who": name})).code == 200
    ada, bob, eve, again = tenants
    assert ada == ""
    assert bob == again
    assert len({ada, bob, eve}) == 3


async def limited(ask: Ask, *paths_and_bodies: tuple[str, dict[str, Any]]) -> list[Any]:
    return [await ask(path, body) for path, body in paths_and_bodies]


@pytest.mark.parametrize("stream", [False, True])
async def test_too_many_prompts_is_an_error_without_retry_after(ask: Ask, ready: Any, stream: bool) -> None:
    ready.worker.limits.waiting = 2
    answers = [
        await ask("v1/completions", {"prompt": ["x"] * count, "max_tokens": 1, "stream": stream})
        for count in (2, 3, 2)
    ]
    assert [answer.code for answer in answers] == [200, 400, 200]
    error = error_of(answers[1])
    assert (error["param"], "at most 2 prompts" in error["message"]) == ("prompt", True)


@pytest.mark.parametrize("server_traits", [{"requests_per_minute": 2}])
async def test_streamed_prompts_are_charged_before_the_first(ask: Ask, ready: Any, engine: Any) -> None:
    response = await ask("completion", {"prompt": ["x", "y", "z"], "n_predict": 1, "stream": True})
    assert (response.code, error_of(response)["code"]) == (429, "too_many_requests")
    assert engine.prompts == []


@pytest.mark.parametrize("server_traits", [{"requests_per_minute": 3}])
async def test_prefetch_requests_are_limited_first(ask: Ask, ready: Any) -> None:
    warm = complete_body(trigger="warmup")
    answers = await limited(ask, *[("complete", warm)] * 2, *[("complete", complete_body())] * 3)
    assert [answer.code for answer in answers] == [200, 429, 200, 200, 429]


def test_prefetch_requests_are_recognized_in_every_protocol() -> None:
    cells = [Cell(source="x")]
    asked: list[tuple[Completion | RawRequest, bool]] = [
        (Completion(cells=cells, offset=1, trigger="automatic"), True),
        (Completion(cells=cells, offset=1, trigger="invoke"), True),
        (Completion(cells=cells, offset=1, trigger="warmup"), False),
        (Completion(cells=cells, offset=1, trigger="prefetch"), False),
        (RawRequest("x"), True),
        (RawRequest("x", prefetch=True), False),
        (RawRequest((1,), exact=ExactRequest(urgency="warmup")), False),
        (RawRequest((1,), exact=ExactRequest(urgency="typing")), True),
    ]
    for request, awaited in asked:
        is_awaited = priority_of(request).awaited if isinstance(request, RawRequest) else request.is_awaited
        assert is_awaited is awaited


@pytest.mark.parametrize(
    ("turbopilot", "outcome"), [(None, "disconnected"), ({"priority": "typing"}, "timed_out")]
)
def test_disconnect_after_the_deadline_counts_as_timed_out(
    tiny_model: Path, turbopilot: dict[str, Any] | None, outcome: str
) -> None:
    served = ServeApp(tiny_model, deadline=0.2)
    served.engine.prompt_pause = 1.0
    body = {"prompt": [120, 32], "max_tokens": 1} | ({"turbopilot": turbopilot} if turbopilot else {})
    counted = f'outcome="{outcome}",route="completions"}} 1.0'
    try:
        with pytest.raises(httpx.ReadTimeout):
            served.client.post("/v1/completions", json=body, timeout=0.5)
        end = time.monotonic() + 30
        while counted not in (metrics := served.client.get("/metrics").text):
            assert time.monotonic() < end, metrics
            time.sleep(0.02)
    finally:
        served.stop()
