"""Faults of remote servers, and the resulting completions and error messages."""

import json
import logging
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.plugins.remote.address import ENGINE_KEY
from jupyter_turbopilot.plugins.remote.run import RemoteRun
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling
from jupyter_turbopilot.protocol.errors import EngineGoneError, TextFailedError, TurbopilotError

from ..plugins.remote.conftest import Connect, Serve, connect, no_keys, serve
from ..plugins.remote.fake_server import Act, Wire, chances, completion, status

__all__ = ["connect", "no_keys", "serve"]

PROMPT = "PROMPT = 'of a person'"
TIMEOUT = 1.0


def ask(most: int = 16) -> EngineRequest:
    return EngineRequest([*map(ord, PROMPT)], Sampling(most))


def outcome(engine: Any, asked: EngineRequest | None = None) -> bytes | TurbopilotError:
    """Generate a text; return it, or the error."""
    run = engine.start(asked or ask())
    assert isinstance(run, RemoteRun)
    try:
        while not run.done:
            engine.step([run], Cancel())
    except TextFailedError as failed:
        return failed.error
    except TurbopilotError as error:
        return error
    finally:
        engine.release(run)
    return b"".join(token.data for token in run.fresh)


def sent(*pieces: bytes, pause: float = 0.0) -> Act:
    """Send bytes as they are, then end the connection."""

    def act(wire: Wire, body: dict[str, Any]) -> None:
        for piece in pieces:
            wire.send(piece)
            time.sleep(pause)

    return act


def event(text: str, **more: Any) -> bytes:
    choice = {"text": text, "logprobs": chances(text, -0.1)} | more
    return b"data: " + json.dumps({"choices": [choice]}, ensure_ascii=False).encode() + b"\n\n"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


def late(*pieces: bytes) -> Act:
    def act(wire: Wire, body: dict[str, Any]) -> None:
        for piece in pieces:
            wire.send(piece)
        wire.gone()

    return act


# Faults that keep the text.
WRITTEN: dict[str, tuple[Act, bytes]] = {
    "cut in a character": (sent(HEAD + event("né")[:-30], pause=0.05), b""),
    "a character in two packets": (
        sent(
            HEAD,
            event("é")[: event("é").index("é".encode()) + 1],
            event("é")[event("é").index("é".encode()) + 1 :],
            pause=0.02,
        ),
        "é".encode(),
    ),
    "cut in a line": (sent(HEAD + event("ab") + event("cd")[:20]), b"ab"),
    "silent after a word": (late(HEAD + event("ab")), b"ab"),
    "garbage after a word": (sent(HEAD + event("ab") + b"data: {garbage\n\n" + event("cd")), b"ab"),
    "an error after a word": (sent(HEAD + event("ab") + b'data: {"error": "PROMPT"}\n\n'), b"ab"),
    "a token outside the vocabulary after a word": (
        sent(
            HEAD + event("ab") + event("c", logprobs={"tokens": ["token_id:9999999"], "token_logprobs": [0]})
        ),
        b"ab",
    ),
    "an end without a word": (completion(), b""),
}


@pytest.mark.parametrize("name", [name for name, (_, text) in WRITTEN.items() if text or "end" in name])
def test_interrupted_stream_keeps_its_text(name: str, serve: Serve, connect: Connect) -> None:
    act, text = WRITTEN[name]
    assert outcome(connect(serve(act), timeout=TIMEOUT)) == text


@pytest.mark.parametrize(
    ("act", "cut"),
    [
        (WRITTEN["silent after a word"][0], True),
        (sent(HEAD + event("ab")), True),
        (sent(HEAD + event("ab", finish_reason="length")), True),
        (sent(HEAD + event("ab", finish_reason="stop")), False),
        (sent(HEAD + event("ab") + b"data: [DONE]\n\n"), False),
    ],
)
def test_truncated_answer_is_not_cached(act: Act, cut: bool, serve: Serve, connect: Connect) -> None:
    asked = ask()
    assert outcome(connect(serve(act), timeout=TIMEOUT), asked) == b"ab"
    assert asked.usage.cut == cut


# Faults that end in an error.
REPORTED: dict[str, tuple[Act, str]] = {
    "cut in a character": (WRITTEN["cut in a character"][0], "broke off"),
    "a key that is wrong": (status(401), "key"),
    "no such route": (status(404), "c.TurbopilotRemote.url"),
    "a redirect": (status(307, Location="http://127.0.0.1:1/"), "redirects"),
    "too many requests": (status(429, Retry_After="60"), "too many requests"),
    "too many requests, and nothing more": (status(429), "too many requests"),
    "not ready": (status(503, Retry_After="60"), "not ready"),
    "a page": (lambda wire, _: wire.answer(200, b"<html>PROMPT", "text/html"), "event stream"),
    "no content type": (sent(b"HTTP/1.1 200 OK\r\n\r\nPROMPT"), "event stream"),
    "garbage": (sent(HEAD + b"data: PROMPT\n\n"), "JSON"),
    "no HTTP": (sent(b"PROMPT\r\n\r\n"), "not HTTP"),
    "cut in a header": (sent(b"HTTP/1.1 200 OK\r\nContent-Ty"), "broke off"),
    "cut in a chunk": (
        sent(HEAD[:-2] + b"Transfer-Encoding: chunked\r\n\r\nff\r\ndata: PROMPT"),
        "broke off",
    ),
    "nothing but silence": (late(), "in time"),
    "silence in a header": (late(b"HTTP/1.1 200 OK\r\n"), "in time"),
    "comments without end": (late(HEAD + b": PROMPT\n\n"), "in time"),
    "a line without end": (sent(HEAD + b"data: " + b"x" * (1 << 21)), "very long event"),
    "a token outside the vocabulary": (
        sent(HEAD + event("c", logprobs={"tokens": ["token_id:9999999"], "token_logprobs": [0]})),
        "vocabulary",
    ),
    "text without ids": (sent(HEAD + event("PROMPT", logprobs=None)), "vocabulary"),
}


@pytest.mark.parametrize("name", REPORTED)
def test_remote_failures_are_reported_to_the_user(
    name: str,
    serve: Serve,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    act, reported = REPORTED[name]
    caplog.set_level(logging.INFO)
    monkeypatch.setenv(ENGINE_KEY, "sk-hush")
    engine = connect(serve(act, act), timeout=TIMEOUT)
    begun = time.monotonic()
    error = outcome(engine)
    assert time.monotonic() - begun < 10 * TIMEOUT
    assert isinstance(error, TurbopilotError)
    assert reported in error.message
    for text in (error.message, repr(error), repr(engine), caplog.text):
        assert "PROMPT" not in text
        assert "SECRET" not in text
        assert "hush" not in text


def test_remote_with_another_model_is_reloaded(serve: Serve, connect: Connect) -> None:
    server = serve(completion("ab"))
    engine = connect(server, timeout=TIMEOUT)
    assert outcome(engine) == b"ab"
    server.stop()
    end = time.monotonic() + 20
    while not isinstance(outcome(engine), EngineGoneError):
        assert time.monotonic() < end  # a connection may briefly outlive the server
    again = serve(completion("cd", model="other"), port=server.port)
    again.models = {"data": [{"id": "other", "owned_by": "vllm", "max_model_len": 512}]}
    while "another model" not in (reported := outcome(engine)).message:  # type: ignore[union-attr]
        assert time.monotonic() < end
        time.sleep(0.05)  # until the connection is refused no more
    assert isinstance(reported, EngineGoneError)
    loaded = connect(again)
    assert loaded.identity != engine.identity
    assert outcome(loaded) == b"cd"


def certificate(folder: Path, name: str) -> Path:
    path = folder / f"{name}.pem"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path)]
    command = ["openssl", "req", "-x509", *key, "-out", f"{path}.crt", "-subj", f"/CN={name}", "-days", "2"]
    subprocess.run([*command, "-addext", f"subjectAltName={name}"], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


def test_untrusted_certificate_is_reported_and_trusted_one_works(
    serve: Serve, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, "IP:127.0.0.1")
    server = serve(completion("ab"), certificate=path)
    with pytest.raises(EngineGoneError, match="certificate"):
        connect(server)
    assert server.requests == []
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    assert outcome(connect(server)) == b"ab"


def test_certificate_of_another_host_is_rejected(
    serve: Serve, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, "DNS:elsewhere.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(EngineGoneError, match="certificate"):
        connect(serve(completion("ab"), certificate=path))
