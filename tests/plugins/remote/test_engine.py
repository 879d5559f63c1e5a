import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.plugins.remote.engine import RemoteEngine
from jupyter_turbopilot.plugins.remote.run import RemoteRun
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling
from jupyter_turbopilot.protocol.errors import TextFailedError

from ...waiting import finish
from .conftest import Connect, Serve
from .fake_server import Act, Wire, chances, completion, status


def ask(text: str = "x = ", most: int = 16) -> EngineRequest:
    return EngineRequest([*map(ord, text)], Sampling(most))


def start(engine: RemoteEngine, asked: EngineRequest) -> RemoteRun:
    """Start a run; there must be a free slot."""
    run = engine.start(asked)
    assert run
    return run


def write(engine: RemoteEngine, asked: EngineRequest) -> bytes:
    return finish(engine, start(engine, asked))[0]


def step_until(engine: RemoteEngine, run: RemoteRun, count: int) -> None:
    while len(run.fresh) < count:
        engine.step([run], Cancel())


def paused(first: str, go: threading.Event, rest: str = "") -> Any:
    """Send the first part of a text, wait for `go`, and send the rest."""

    def act(wire: Wire, body: dict[str, Any]) -> None:
        wire.begin()
        wire.event(model="far", choices=[{"text": first, "logprobs": chances(first, -0.1)}])
        go.wait(30)
        if rest:
            wire.event(choices=[{"text": rest, "logprobs": chances(rest, -0.1), "finish_reason": "stop"}])

    return act


def waits(begun: threading.Event, closed: threading.Event) -> Act:
    """Start an answer, and wait until its connection is closed."""

    def act(wire: Wire, body: dict[str, Any]) -> None:
        wire.begin()
        begun.set()
        if wire.gone():
            closed.set()

    return act


def test_step_streams_tokens(serve: Serve, connect: Connect) -> None:
    go = threading.Event()
    engine = connect(serve(paused("ab", go, "cd")))
    run = start(engine, ask())
    engine.step([run], Cancel())
    assert [token.data for token in run.fresh] == [b"a", b"b"]
    assert not run.done
    go.set()
    assert finish(engine, run) == [b"abcd"]
    assert (run.request.usage.prompt_tokens, run.request.usage.predicted_tokens) == (4, 4)


def test_step_returns_immediately_if_interrupted(serve: Serve, connect: Connect) -> None:
    go = threading.Event()
    engine = connect(serve(paused("a", go)))
    run = start(engine, ask())
    step_until(engine, run, 1)
    interrupt = Cancel()
    threading.Timer(0.05, interrupt.set, ("interrupt",)).start()
    engine.step([run], interrupt)
    engine.step([run], interrupt)
    assert not run.done
    go.set()


def test_release_closes_the_request(serve: Serve, connect: Connect) -> None:
    begun, closed = threading.Event(), threading.Event()
    engine = connect(serve(waits(begun, closed)))
    run = start(engine, ask())
    assert begun.wait(30)
    engine.release(run)
    assert closed.wait(30)


def test_step_stops_a_text_at_its_limit(serve: Serve, connect: Connect) -> None:
    closed = threading.Event()

    def act(wire: Wire, body: dict[str, Any]) -> None:
        wire.begin()
        try:
            while True:
                wire.event(choices=[{"text": "abc", "logprobs": chances("abc", -0.1)}])
                time.sleep(0.002)
        except OSError:
            closed.set()

    engine = connect(serve(act))
    assert write(engine, ask(most=7)) == b"abcabca"
    assert closed.wait(30)


def test_engine_reuses_connections(serve: Serve, connect: Connect) -> None:
    def act(wire: Wire, body: dict[str, Any]) -> None:
        events = b'data: {"choices": [{"finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
        wire.answer(200, events, "text/event-stream")

    server = serve()
    server.routes["/v1/completions"] = act
    engine = connect(server)
    write(engine, ask())
    before = len(server._connections)
    for _ in range(5):
        write(engine, ask())
    assert len(server._connections) == before


def test_start_returns_none_without_a_free_slot(serve: Serve, connect: Connect) -> None:
    engine = connect(serve(completion("a")), slots=2)
    runs = [engine.start(ask()) for _ in range(3)]
    first, second, third = runs
    assert first
    assert second
    assert third is None
    assert finish(engine, first, second) == [b"a", b"a"]
    assert write(engine, ask()) == b"a"


def test_resume_continues_a_suspended_run(serve: Serve, connect: Connect) -> None:
    go = threading.Event()
    server = serve(paused("ab", go), completion("cd"))
    engine = connect(server, slots=1)
    run = start(engine, ask("x", 5))
    step_until(engine, run, 2)
    engine.suspend(run)
    other = start(engine, ask("y"))
    assert not engine.resume(run)
    assert finish(engine, other) == [b"cd"]
    assert engine.resume(run)
    assert finish(engine, run) == [b"abcd"]
    go.set()
    last = server.asked("/v1/completions")[-1]
    assert (last["prompt"], last["max_tokens"]) == ([*map(ord, "xab")], 3)


def test_start_limits_tokens_to_the_context(serve: Serve, connect: Connect) -> None:
    server = serve(completion("a"))
    write(connect(server), ask("x" * 510, 48))
    assert server.asked("/v1/completions")[0]["max_tokens"] == 2


@pytest.mark.parametrize(("priority", "times"), [("warmup", 1), ("prefetch", 1), ("typing", 2), ("", 2)])
def test_prefetch_does_not_wait_for_a_busy_server(
    priority: str, times: int, serve: Serve, connect: Connect
) -> None:
    server = serve(status(503, Retry_After="0"), completion("ab"))
    engine = connect(server)
    run = start(engine, replace(ask(), priority=priority))
    if times == 1:
        with pytest.raises(TextFailedError, match="not ready"):
            engine.step([run], Cancel())
    else:
        assert finish(engine, run) == [b"ab"]
    assert len(server.asked("/v1/completions")) == times


def test_close_ends_running_requests(serve: Serve, connect: Connect) -> None:
    begun, closed = threading.Event(), threading.Event()
    engine = connect(serve(waits(begun, closed)))
    assert engine.start(ask())
    assert begun.wait(30)
    engine.close()
    assert closed.wait(30)


def test_requests_contain_session_and_tenant(serve: Serve, connect: Connect) -> None:
    server = serve(completion("a"))
    engine = connect(server)
    for asked in (ask(), replace(ask(), session="a-session", tenant="an-owner")):
        write(engine, asked)
    (plain, bare), (headers, body) = [
        (headers, body) for route, headers, body in server.requests if route == "/v1/completions"
    ]
    assert "x-session-id" not in plain
    assert "cache_salt" not in bare
    assert headers["x-session-id"] == "a-session"
    assert body["cache_salt"] == "an-owner"
    assert "session" not in body
