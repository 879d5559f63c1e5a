from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.errors import BusyError
from jupyter_turbopilot.generation import ExactRequest, RawRequest
from jupyter_turbopilot.reply import Reply
from jupyter_turbopilot.request import Cell, Completion
from jupyter_turbopilot.server.routes import llamacpp, openai_format
from jupyter_turbopilot.server.routes.base import groups_of
from jupyter_turbopilot.server.routes.deltas import placed_tokens
from jupyter_turbopilot.server.routes.jobs import JobRoute, RateLimiter, is_awaited

from .conftest import EngineRequest, Named, complete_body, error_of


@pytest.mark.parametrize(
    ("path", "asked", "module"),
    [("completion", {"n_probs": 2}, llamacpp), ("v1/completions", {"logprobs": 2}, openai_format)],
)
async def test_long_responses_are_encoded_outside_the_event_loop(
    ask: EngineRequest,
    ready: Any,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    asked: dict[str, Any],
    module: Any,
) -> None:
    threads: set[int] = set()

    def watched(item: Any, **more: Any) -> Any:
        threads.add(threading.get_ident())
        return placed_tokens(item, **more)

    monkeypatch.setattr(module, "placed_tokens", watched)
    response = await ask(path, {"prompt": "x", "max_tokens": 4, "n": 2} | asked)
    assert response.code == 200
    assert threads
    assert threading.get_ident() not in threads


async def test_empty_answer_is_an_error_with_the_reason(
    ask: EngineRequest, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(_route: Any, _requests: Any) -> AsyncGenerator[tuple[int, Reply]]:
        yield 0, Reply("id", done=True, finish_reason="deadline")

    monkeypatch.setattr(JobRoute, "submit_all", late)
    response = await ask("v1/completions", {"prompt": "x"})
    assert (response.code, error_of(response)["code"]) == (503, "deadline")


async def test_vocabulary_without_a_model_raises(ask: EngineRequest, pilot: Any) -> None:
    response = await ask("tokenize", {"content": "x"})
    assert response.code == 503
    assert error_of(response)["message"]


@pytest.fixture
def tenants(ready: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tenants of the requests."""
    seen: list[str] = []
    submit = ready.completer.submit

    def noted(
        request: Any, listener: Any, kernel_context: Any, caller: str, tenant: str, *, notebook_index: Any
    ) -> Any:
        seen.append(tenant)
        return submit(request, listener, kernel_context, caller, tenant, notebook_index=notebook_index)

    monkeypatch.setattr(ready.completer, "submit", noted)
    return seen


async def test_server_token_and_kernels_have_no_tenant(
    ask: EngineRequest, tenants: list[str], jp_serverapp: Any
) -> None:
    (app,) = jp_serverapp.extension_manager.extension_apps["jupyter_turbopilot"]
    for headers in ({}, {"X-Turbopilot-Secret": app._secret, "Authorization": ""}):
        assert (await ask("complete", complete_body(), headers=headers)).code == 200
    assert tenants == ["", ""]


async def test_collaborators_have_tenants_but_not_the_owner(
    ask: EngineRequest, tenants: list[str], jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(jp_serverapp.web_app.settings, "identity_provider", Named(parent=jp_serverapp))
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    for name in ("ada", "bob", "eve", "bob"):
        assert (await ask("complete", complete_body(), headers={"X-Who": name})).code == 200
    ada, bob, eve, again = tenants
    assert ada == ""
    assert bob == again
    assert len({ada, bob, eve}) == 3


async def test_invalid_session_id_is_ignored(ask: EngineRequest, ready: Any, engine: Any) -> None:
    for session in ("an-id", "with space", "x" * 300, "", "\u00e9"):
        headers = {"X-Session-Id": session}
        assert (await ask("v1/completions", {"prompt": "x", "max_tokens": 1}, headers=headers)).code == 200
    assert [each.session for each in engine.asks] == ["an-id", "", "", "", ""]


@pytest.mark.parametrize("groups", [None, "course", 7, {"course": 1}, [["course"]], [b"course"]])
def test_invalid_groups_are_ignored(groups: Any) -> None:
    assert groups_of(SimpleNamespace(groups=groups)) == frozenset()
    assert groups_of(SimpleNamespace()) == frozenset()


def test_groups_are_the_identity_providers() -> None:
    assert groups_of(SimpleNamespace(groups=["a", "b"])) == {"a", "b"}


async def limited(ask: EngineRequest, *paths_and_bodies: tuple[str, dict[str, Any]]) -> list[Any]:
    return [await ask(path, body) for path, body in paths_and_bodies]


@pytest.mark.parametrize("server_traits", [{"requests_per_minute": 1, "burst": 2}])
async def test_rate_limit_error_names_the_limit_and_retry_after(ask: EngineRequest, ready: Any) -> None:
    asked = [
        ("complete", complete_body()),
        ("v1/completions", {"prompt": "x"}),
        ("complete", complete_body()),
    ]
    granted, too, refused = await limited(ask, *asked)
    assert (granted.code, too.code, refused.code) == (200, 200, 429)
    assert error_of(refused)["code"] == "too_many_requests"
    assert 55 <= int(refused.headers["Retry-After"]) <= 60
    text = (await ask("metrics", method="GET")).body.decode()
    assert 'turbopilot_requests_total{outcome="too_many_requests",route="complete"} 1.0' in text


@pytest.mark.parametrize("server_traits", [{"waiting_per_user": 2}])
@pytest.mark.parametrize("stream", [False, True])
async def test_too_many_prompts_is_an_error_without_retry_after(
    ask: EngineRequest, ready: Any, stream: bool
) -> None:
    answers = [
        await ask("v1/completions", {"prompt": ["x"] * count, "max_tokens": 1, "stream": stream})
        for count in (2, 3, 2)
    ]
    assert [answer.code for answer in answers] == [200, 400, 200]
    error = error_of(answers[1])
    assert (error["param"], "at most 2 prompts" in error["message"]) == ("prompt", True)


@pytest.mark.parametrize("server_traits", [{"requests_per_minute": 1, "burst": 3}])
async def test_prefetch_requests_are_limited_first(ask: EngineRequest, ready: Any) -> None:
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
        assert is_awaited(request) is awaited


def refusal(
    rates: RateLimiter, caller: str, now: float, *, awaited: bool = True, count: float = 1.0
) -> float:
    """Take a token; return the seconds to wait, 0 if it was granted."""
    try:
        rates.take(caller, now, awaited=awaited, count=count)
    except BusyError as busy:
        assert (busy.status, busy.code) == (429, "too_many_requests")
        assert busy.after > 0
        return busy.after
    return 0.0


def test_rate_limiter_grants_a_burst_then_the_rate() -> None:
    rates = RateLimiter(60, 3)
    assert [refusal(rates, "a", 5.0) for _ in range(4)] == [0, 0, 0, 1]
    assert refusal(rates, "a", 5.75) == 0.25
    assert [refusal(rates, "a", 6.0), refusal(rates, "a", 6.0)] == [0, 1]
    assert refusal(rates, "b", 6.0) == 0


def test_rate_limiter_charges_the_count_up_to_the_burst() -> None:
    rates = RateLimiter(60, 4)
    assert [refusal(rates, "a", 0.0, count=3) for _ in range(2)] == [0, 2]
    assert [refusal(rates, "a", 0.0) for _ in range(2)] == [0, 1]
    assert [refusal(rates, "b", 0.0, count=1e9) for _ in range(2)] == [0, 4]
    assert refusal(rates, "b", 4.0, count=1e9) == 0


def test_rate_limiter_without_a_limit_stores_no_callers() -> None:
    rates = RateLimiter(0, 1)
    assert not any(refusal(rates, "a", 0.0) for _ in range(1000))
    assert len(rates) == 0


CLOCK = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60)


@given(CLOCK, st.integers(1, 1000), st.integers(1, 30))
def test_rate_limiter_survives_clock_jumps(times: list[float], per_minute: int, burst: int) -> None:
    rates = RateLimiter(per_minute, burst)
    for now in times:
        granted = sum(not refusal(rates, "a", now) for _ in range(burst + 2))
        assert granted <= burst
        wait = refusal(rates, "a", now)
        assert 0 < wait <= 60 / per_minute * (1 + 1e-6)
        assert refusal(rates, "a", now + 1.001 * wait + 1e-6) == 0


@given(
    st.lists(st.tuples(st.floats(0, 0.5), st.booleans()), max_size=200),
    st.integers(1, 600),
    st.integers(1, 20),
)
def test_rate_limiter_never_exceeds_rate_plus_one_burst(
    steps: list[tuple[float, bool]], per_minute: int, burst: int
) -> None:
    rates, now, granted = RateLimiter(per_minute, burst), 0.0, 0
    for pause, awaited in steps:
        now += pause
        granted += not refusal(rates, "a", now, awaited=awaited)
        assert granted <= burst + now * per_minute / 60 + 1e-6


@given(st.lists(st.text(max_size=3), max_size=300))
def test_rate_limiter_bounds_the_number_of_callers(callers: list[str]) -> None:
    rates = RateLimiter(60, 5, most=8)
    for number, caller in enumerate(callers):
        refusal(rates, caller, float(number))
        assert len(rates) <= 8


@given(st.integers(1, 100), st.integers(1, 50))
def test_rate_limiter_grants_prefetch_after_the_reported_delay(per_minute: int, burst: int) -> None:
    rates, now = RateLimiter(per_minute, burst), 0.0
    while not (wait := refusal(rates, "a", now, awaited=False)):
        pass
    assert refusal(rates, "a", now + 1.001 * wait + 1e-6, awaited=False) == 0
