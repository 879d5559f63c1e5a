import asyncio
import gzip
import json
import logging
import ssl
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.plugins.remote import http_client
from jupyter_turbopilot.plugins.remote.address import Address, read_address
from jupyter_turbopilot.plugins.remote.dialect import EventContent, Request
from jupyter_turbopilot.plugins.remote.errors import (
    AskedToWaitError,
    InvalidAnswerError,
    RemoteRefusalError,
)
from jupyter_turbopilot.plugins.remote.http_client import (
    HttpClient,
    failure_reason,
    reported_level,
    retry_after,
)
from jupyter_turbopilot.plugins.remote.openai_dialect import OpenAIDialect
from jupyter_turbopilot.plugins.remote.remote_server import Kind, RemoteServer
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints
from jupyter_turbopilot.protocol.errors import BadRequestError, BusyError, EngineError, NotReadyError
from jupyter_turbopilot.protocol.reply import LOAD_HEADER

from .conftest import Serve, with_client
from .fake_server import Act, FakeServer, Wire, completion

DIALECT = OpenAIDialect(CodePoints(), server=RemoteServer(Kind.VLLM, "m"))


def stream(server: FakeServer, key: str = "") -> list[EventContent]:
    async def received() -> list[EventContent]:
        client = HttpClient(read_address(server.url, allow_http=False), key, 5.0)
        try:
            return [one async for one in client.stream(Request("/v1/completions", {"prompt": [1]}), DIALECT)]
        finally:
            await client.close()

    return asyncio.run(received())


def fetch(server: FakeServer, route: str) -> bytes | None:
    return with_client(server, lambda client: client.fetch(route))


def error_event(error: Any) -> Act:
    def act(wire: Wire, _: Any) -> None:
        wire.begin()
        wire.event(error=error)

    return act


def test_stream_sends_the_key_only_in_the_header(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = serve(completion("a"))
    stream(server, "sk-hush")
    ((_, headers, body),) = server.requests
    assert headers["authorization"] == "Bearer sk-hush"
    assert "hush" not in json.dumps(body)
    assert "hush" not in caplog.text


@pytest.mark.parametrize(
    ("error", "after"),
    [
        (BusyError("SECRET", after=3).body()["error"], 3.0),
        (NotReadyError("SECRET").openai_body()["error"], 1.0),
        ({"code": 503, "type": "unavailable_error", "message": "SECRET"}, None),  # from llama-server
    ],
)
def test_error_event_may_ask_to_wait(error: Any, after: float | None, serve: Serve) -> None:
    with pytest.raises(AskedToWaitError) as asked:
        stream(serve(error_event(error)))
    assert asked.value.after == after
    assert "SECRET" not in asked.value.error.message


@pytest.mark.parametrize("error", [EngineError("SECRET").body()["error"], {"code": 500, "message": "SECRET"}])
def test_error_event_with_another_status_is_a_rejection(error: Any, serve: Serve) -> None:
    with pytest.raises(RemoteRefusalError) as refused:
        stream(serve(error_event(error)))
    assert refused.value.answered == 500
    assert "SECRET" not in refused.value.message


@pytest.mark.parametrize("error", ["SECRET", {}, {"status": 200}, {"status": True, "code": "busy"}, [7]])
def test_error_event_without_a_status_is_invalid(error: Any, serve: Serve) -> None:
    with pytest.raises(InvalidAnswerError, match="an error instead"):
        stream(serve(error_event(error)))


COMPRESSED = gzip.compress(b'{"data": []}')


@pytest.mark.parametrize("read", [stream, lambda server: fetch(server, "/v1/completions")])
def test_client_refuses_a_compressed_answer(serve: Serve, read: Any) -> None:
    server = serve(lambda wire, _: wire.answer(200, COMPRESSED, "text/event-stream", Content_Encoding="gzip"))
    server.routes["/v1/completions"] = server.acts[0]
    with pytest.raises(InvalidAnswerError, match="compressed"):
        read(server)


@pytest.mark.parametrize("code", [200, 400])
def test_fetch_cuts_a_long_answer(code: int, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "MOST_BYTES", 10)
    server = serve()
    server.routes["/props"] = lambda wire, _: wire.answer(code, b'{"error": {"message": "' + b"a" * 10**6)
    if code == 200:
        assert len(fetch(server, "/props") or b"") < 10**6
    else:
        with pytest.raises(RemoteRefusalError):
            fetch(server, "/props")


def test_stream_names_a_rejected_option(serve: Serve) -> None:
    refusal = b'{"error": {"message": "SECRET", "param": "repetition_penalty"}}'
    with pytest.raises(BadRequestError, match="repeat_penalty") as refused:
        stream(serve(lambda wire, _: wire.answer(400, refusal)))
    assert refused.value.field == "repeat_penalty"
    assert "SECRET" not in refused.value.message


@pytest.mark.parametrize(
    ("header", "level"),
    [
        ("2", Level.SHORT_SUGGESTIONS),
        ("0", Level.NONE),
        ("", Level.NONE),
        ("9", Level.NONE),
        ("x", Level.NONE),
    ],
)
def test_reported_level_is_one_of_the_stages(header: str, level: Level) -> None:
    assert reported_level(httpx.Response(200, headers={LOAD_HEADER: header})) is level


def test_level_is_known_only_after_an_answer(serve: Serve) -> None:
    server = serve(completion("a"))

    async def levels(client: HttpClient) -> list[Level | None]:
        found = [client.level]
        async for _ in client.stream(Request("/v1/completions", {"prompt": [1]}), DIALECT):
            pass
        return [*found, client.level]

    assert with_client(server, levels) == [None, Level.NONE]


def test_stream_recognizes_an_overloaded_server(serve: Serve) -> None:
    error = BusyError("SECRET", code="overloaded")
    body = json.dumps(error.openai_body()).encode()
    with pytest.raises(BusyError) as caught:
        stream(serve(lambda wire, _: wire.answer(429, body, Retry_After="5")))
    assert (caught.value.code, caught.value.after) == ("overloaded", 5.0)
    assert "SECRET" not in caught.value.message


@pytest.mark.parametrize(
    "body", [b"{", b'{"error": {"code": "too_many_requests"}}', b'{"error": {"code": 429}}']
)
def test_stream_waits_after_other_refusals(body: bytes, serve: Serve) -> None:
    with pytest.raises(AskedToWaitError):
        stream(serve(lambda wire, _: wire.answer(429, body)))


def test_proxy_is_not_used_for_this_machine(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert stream(serve(completion("a")))


def test_proxy_is_used_for_other_machines(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve(completion("a"))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.delenv("no_proxy", raising=False)

    async def asked() -> None:
        client = HttpClient(Address("http://far.invalid", "far.invalid"), "", 5.0)
        try:
            await client.fetch("/v1/models")
        finally:
            await client.close()

    asyncio.run(asked())
    assert proxy.requests[0][0] == "http://far.invalid/v1/models"


def test_failure_reason_never_quotes_the_exception() -> None:
    certificate = httpx.ConnectError("hush")
    certificate.__cause__ = ssl.SSLCertVerificationError("hush")
    tls = httpx.ConnectError("hush")
    tls.__context__ = ssl.SSLError("hush")
    reasons = [
        failure_reason(error)
        for error in (
            certificate,
            tls,
            httpx.ConnectError("hush"),
            httpx.ReadTimeout("hush"),
            OSError("hush"),
        )
    ]
    assert len(set(reasons)) == 5
    assert not any("hush" in reason for reason in reasons)
    assert "certificate" in reasons[0]


PIECES = st.lists(st.text("ab\u2028\x85é", min_size=1, max_size=6), min_size=1, max_size=6)


@given(PIECES, st.sampled_from(["\n", "\r\n"]), st.lists(st.integers(0, 600), max_size=9))
def test_stream_decodes_events_in_any_chunks(pieces: list[str], end: str, cuts: list[int]) -> None:
    events = [": ping", *(json.dumps({"choices": [{"text": one}]}, ensure_ascii=False) for one in pieces)]
    data = "".join(line if line[0] == ":" else f"event: x{end}data: {line}{end}{end}" for line in events)
    data = data.replace(": ping", f": ping{end}{end}") + f"data{end}data:{end}{end}"
    whole, at = data.encode(), [0, *sorted(cuts), None]

    class Chunks(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for first, last in pairwise(at):
                yield whole[first:last]

    async def received() -> str:
        client = HttpClient(Address("http://h", "h"), "", 5.0)
        answer = httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Chunks())
        client._client._transport = httpx.MockTransport(lambda _: answer)
        dialect = OpenAIDialect(None, server=RemoteServer(Kind.OPENAI, "m"))
        got = [token async for one in client.stream(Request("/x", {}), dialect) for token in one.tokens]
        return b"".join(token.data for token in got).decode()

    assert asyncio.run(received()) == "".join(pieces)


def waits(header: str) -> float | None:
    return retry_after(httpx.Response(429, headers=[(b"Retry-After", header.encode())]))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        (" 120 ", 120.0),
        ("Sun, 22 Nov 2020 11:00:00 GMT", None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_retry_after_parses_seconds(header: str, seconds: float | None) -> None:
    assert waits(header) == seconds


@given(st.text(max_size=40))
def test_retry_after_accepts_any_text(header: str) -> None:
    seconds = waits(header)
    assert seconds is None or seconds >= 0
