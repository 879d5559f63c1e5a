"""`jupyter turbopilot serve` in a separate process."""

import asyncio
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from traitlets.config import Config

from jupyter_turbopilot.cli import main
from jupyter_turbopilot.jupyter import standalone
from jupyter_turbopilot.jupyter.identity import KeyIdentity, StandaloneIdentity
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.jupyter.standalone import REQUESTS_PER_MINUTE, ListenAddress, application, for_several
from jupyter_turbopilot.jupyter.standalone import serve as serve_until_told
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.settings.config import Turbopilot

from ..multi_user_service import HeaderIdentity
from ..scripted_engine import ScriptedEngine, pilot_with
from ..serving import Server
from ..waiting import free_port

Serve = Callable[..., httpx.Client]
KEY = KeyIdentity("key", "127.0.0.1")
BODY = {"input_prefix": "x = ", "input_suffix": "", "n_predict": 2}


@pytest.fixture
def serve(tiny_model: Path, tmp_path: Path) -> Iterator[Serve]:
    started: list[Server] = []
    (tmp_path / "models").mkdir()
    own = tmp_path / "models" / "tiny.gguf"
    shutil.copy(tiny_model, own)

    def start(*arguments: str, environment: dict[str, str] | None = None) -> httpx.Client:
        started.append(Server(own, *arguments, environment=environment))
        return started[-1].client

    yield start
    for server in started:
        server.stop()


def test_printed_key_permits_completion_and_management(serve: Serve) -> None:
    client = serve()
    assert client.post("/infill", json=BODY).json()["tokens_predicted"] == 2
    asked = {"cells": [{"source": "x = "}], "offset": 4, "max_tokens": 2}
    assert client.post("/complete", json=asked).status_code == 200
    assert client.get("/models").status_code == 200
    assert client.get("/health").json()["notebook_index"] is None, "there is no index"


def test_key_file_keeps_the_key_out_of_the_process_list(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret-key\n")
    for client in (
        serve("--api-key-file", str(tmp_path / "key")),
        serve(environment={"TURBOPILOT_API_KEY": "s3cret-key"}),
    ):
        assert client.get("/props").status_code == 401
        for headers in ({"Authorization": "Bearer s3cret-key"}, {"X-Api-Key": "s3cret-key"}):
            assert client.post("/infill", json=BODY, headers=headers).status_code == 200


def test_serve_ends_with_2_if_its_model_cannot_be_loaded(tiny_model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(tiny_model.read_bytes()[:-1000])
    models = {"nope": "no model called", str(tmp_path / "nope.gguf"): "no model at", str(damaged): "damaged"}
    for model, reason in models.items():
        command = [str(Path(sys.executable).parent / "jupyter-turbopilot"), "serve", "-m", model]
        done = subprocess.run(
            [*command, "--port", str(free_port())], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 2, done.stdout
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1
        assert model == str(damaged) or "Serving on" not in done.stdout


def test_server_without_a_key_completes_but_does_not_manage(serve: Serve) -> None:
    client = serve("--no-api-key")
    assert client.post("/infill", json=BODY).status_code == 200
    assert client.post("/models", json={"model": "x"}).status_code == 403


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the error message of `serve`."""
    with pytest.raises(SystemExit) as ended:
        main(["serve", *arguments])
    report = capsys.readouterr()
    assert ended.value.code == 2
    assert report.out == ""
    return report.err


@pytest.mark.parametrize("port", ["99999", "65536", "0", "-1", "http", "1.5", "", " ", "9" * 5000, "1_0"])
def test_invalid_port_is_rejected_with_a_message(capsys: pytest.CaptureFixture[str], port: str) -> None:
    assert "from 1 to 65535" in refused(capsys, "--port", port)


def test_used_port_is_rejected_with_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        report = refused(capsys, "--port", str(taken.getsockname()[1]))
    assert "Address already in use" in report
    assert "--port" in report
    assert "systemd socket" in report


@pytest.mark.parametrize("host", ["nowhere.invalid", "..", "a" * 300, "256.1.1.1"])
def test_invalid_address_is_rejected_with_a_message(capsys: pytest.CaptureFixture[str], host: str) -> None:
    assert "Cannot listen on" in refused(capsys, "--host", host, "--api-key", "k")


@pytest.mark.parametrize("key", ["", " ", "two words", "kéy", "a\nb", "x" * 5000])
def test_unsendable_key_is_rejected(capsys: pytest.CaptureFixture[str], tmp_path: Path, key: str) -> None:
    (tmp_path / "key").write_text(key)
    assert "printable ASCII" in refused(capsys, "--api-key", key)
    assert "does not contain a valid key" in refused(capsys, "--api-key-file", str(tmp_path / "key"))


def test_file_without_a_key_is_rejected(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "No such file" in refused(capsys, "--api-key-file", str(tmp_path / "none"))
    assert "Is a directory" in refused(capsys, "--api-key-file", str(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_stops_on_signals_without_loop_support(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, number: signal.Signals
) -> None:
    class Windows(asyncio.SelectorEventLoop):
        def add_signal_handler(self, *_: Any) -> None:
            raise NotImplementedError

    pilot = pilot_with(Turbopilot(model=str(tiny_model)), lambda *_: ScriptedEngine())
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    stopped: list[bool] = []
    monkeypatch.setattr(pilot, "start", lambda: os.kill(os.getpid(), number))
    monkeypatch.setattr(pilot, "stop", lambda: stopped.append(True))
    address = ListenAddress("127.0.0.1", free_port())
    try:
        with asyncio.Runner(loop_factory=Windows) as runner:
            runner.run(asyncio.wait_for(serve_until_told(pilot, KEY, address), 20))
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert stopped


@pytest.fixture
def at_server(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> Callable[[Callable[[int], Awaitable[None]]], None]:
    """Call a function with the port of a server in this process."""

    def run(visit: Callable[[int], Awaitable[None]]) -> None:
        pilot = pilot_with(Turbopilot(model=str(tiny_model)), lambda *_: ScriptedEngine())
        port = free_port()

        async def serve() -> None:
            started = asyncio.Event()
            monkeypatch.setattr(pilot, "start", started.set)
            served = asyncio.create_task(serve_until_told(pilot, KEY, ListenAddress("127.0.0.1", port)))
            await started.wait()
            await visit(port)
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(served, 30)

        asyncio.run(serve())

    return run


async def health_at(port: int) -> bytes:
    """Return the status line of `health`; empty if the connection was closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        return await asyncio.wait_for(reader.readline(), 30)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_serve_closes_connections_above_the_limit(at_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standalone, "max_connections", lambda: 2)

    async def visit(port: int) -> None:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        assert await health_at(port) == b""
        for _, writer in held:
            writer.close()
        end = time.monotonic() + 30
        while not await health_at(port):
            assert time.monotonic() < end
            await asyncio.sleep(0.01)

    at_server(visit)


def test_connection_with_an_incomplete_head_is_closed(
    at_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standalone, "IDLE_SECONDS", 0.1)

    async def visit(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1/comp")
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()

    at_server(visit)


def test_server_without_a_key_rejects_other_machines() -> None:
    command = [str(Path(sys.executable).parent / "jupyter-turbopilot"), "serve", "--no-api-key"]
    done = subprocess.run([*command, "--host", "10.0.0.1"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--host 127.0.0.1" in done.stderr


def test_status_page_shows_only_readiness(serve: Serve) -> None:
    client = serve("--api-key", "s3cret-key")
    client.headers.pop("Authorization")
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "style-src 'unsafe-inline'" in page.headers["Content-Security-Policy"]
    assert "tiny.gguf: ready." in page.text
    assert "s3cret-key" not in page.text
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 401


def test_service_for_several_users_stores_no_data(caplog: pytest.LogCaptureFixture) -> None:
    settings = Turbopilot()
    for_several(settings)
    assert (settings.keep_sequences, settings.cache_file) == (False, "")
    assert not caplog.records, "nothing was configured"


def test_ignored_settings_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    config = Config(Turbopilot={"keep_sequences": True, "cache_file": "~/answers.db"})
    settings = Turbopilot(config=config)
    for_several(settings)
    assert (settings.keep_sequences, settings.cache_file) == (False, "")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "c.Turbopilot.cache_file" in record.getMessage()
    assert "c.Turbopilot.keep_sequences" in record.getMessage()
    assert "answers.db" not in record.getMessage()


def test_denied_paths_of_a_service_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    for_several(Turbopilot(denied_paths=["exams/**"]))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "c.Turbopilot.denied_paths = []" in record.getMessage()


def test_users_have_default_limits_unless_configured() -> None:
    for traits, most in (({}, REQUESTS_PER_MINUTE), ({"requests_per_minute": 0}, 0)):
        settings = Turbopilot(config=Config(Turbopilot=traits))
        assert settings.requests_per_minute == 0
        for_several(settings)
        assert (settings.requests_per_minute, settings.separate_caches) == (most, True)


@pytest.mark.parametrize(
    ("identity", "limits"), [(HeaderIdentity(), (2, 8)), (KeyIdentity("key", "127.0.0.1"), (0, 0))]
)
def test_application_limits_only_users_who_are_distinguished(
    identity: StandaloneIdentity, limits: tuple[int, int]
) -> None:
    pilot = Pilot(Turbopilot(engine="remote"))
    application(pilot, identity)
    assert (pilot.worker.limits.running, pilot.worker.limits.waiting) == limits


def test_log_of_several_users_is_rejected_without_its_path() -> None:
    with pytest.raises(BadRequestError, match=r"c\.Turbopilot\.usage_log cannot be used here") as refused:
        for_several(Turbopilot(usage_log="~/secret-study.jsonl"))
    assert "secret-study" not in refused.value.message
    assert refused.value.exit_status == 2
