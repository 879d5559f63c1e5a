from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.llama.kind import LlamaKind
from jupyter_turbopilot.jupyter.pilot.library import store_of
from jupyter_turbopilot.models import connection
from jupyter_turbopilot.plugins.evaluate import simulated_users
from jupyter_turbopilot.plugins.evaluate.simulated_users import Measured
from jupyter_turbopilot.plugins.evaluate.size import BUSIEST, Figure, ModelMemory, Sizing, summary
from jupyter_turbopilot.settings.config import Turbopilot

from ...terminal.commands.running import run
from .test_server_metrics import counters

NOTEBOOKS = Path(__file__).parents[2] / "data"
KNOWN = ("--requests-per-second", "0.2", "--seconds-per-request", "0.25")


def test_size_computes_given_values_without_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "size", "--users", "300", *KNOWN)
    assert (status, err) == (0, "")
    assert out.startswith("5 replicas: 300 users x 0.3 typing x 0.2 requests/s x 0.25 s / 0.9 = 5\n")
    assert "assumed" in out
    assert "Memory: unknown" in out


def test_size_measures_in_a_short_run(capsys: pytest.CaptureFixture[str], own: str) -> None:
    asked = ("-m", own, "--notebooks", str(NOTEBOOKS), "--seconds", "1", "--key-interval", "20", "--json")
    status, out, err = run(capsys, "size", "--users", "5", *asked)
    assert status == 0, err
    found = json.loads(out)
    assert found["requests_per_second"]["value"] > 0
    assert "measured here" in found["seconds_per_request"]["how"]
    assert found["runs"][0]["users"] == 1
    assert found["memory"]["each"] > 0
    assert found["replicas"] >= 1
    assert "one user" in err


def test_model_memory_equals_what_loading_needs(capsys: pytest.CaptureFixture[str], own: str) -> None:
    status, out, _ = run(capsys, "size", "--users", "40", *KNOWN, "-m", own, "--json")
    assert status == 0
    needed = json.loads(out)["memory"]
    memory = -(-needed["keys_and_values"] // 10**6)
    settings = Turbopilot(model=own, separate_caches=True, sequences_memory=memory)  # as in a service
    kind = LlamaKind(settings, store_of(settings))
    _, plan = kind.plan(kind.find(own), adapters_enabled=True)
    assert plan.needs == pytest.approx(needed["each"], abs=2**20)


def test_size_advises_if_there_are_no_notebooks(
    capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    status, out, err = run(capsys, "size", "--users", "5", "-m", own, "--notebooks", str(tmp_path / "empty"))
    assert (status, out) == (2, "")
    assert "no notebooks with code" in err
    assert "--requests-per-second" in err


def test_size_reports_a_remote_or_missing_model_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "size", "--users", "5", "--engine", "remote")
    assert status == 2
    assert "Run this command there" in err
    status, _, err = run(capsys, "size", "--users", "5")
    assert status == 1
    assert "models pull" in err
    assert err.count("\n") == 1
    assert run(capsys, "size", "--users", "5", "-m", "nope")[0] == 2


def test_size_interrupted_while_measuring_prints_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, own: str
) -> None:
    def stopped(*_: object) -> Measured:
        raise KeyboardInterrupt

    monkeypatch.setattr(simulated_users, "simulate_users", stopped)
    assert run(capsys, "size", "--users", "5", "-m", own) == (130, "", "turbopilot: stopped\n")


@pytest.fixture
def answering() -> Iterator[str]:
    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/metrics" else 403)
            self.end_headers()
            self.wfile.write(counters(completed=100, since=1.0).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_size_computes_the_rate_from_two_metrics(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, answering: str
) -> None:
    import os
    import time

    earlier = tmp_path / "earlier.txt"
    earlier.write_text(counters(completed=40, since=1.0))
    os.utime(earlier, (time.time() - 100, time.time() - 100))
    asked = ("--from-metrics", f"{answering}/metrics", str(earlier), "--metrics-users", "10", "--json")
    more = ("--seconds-per-request", "0.5", "--typing-share", "0.5")
    status, out, err = run(capsys, "size", "--users", "100", *asked, *more)
    assert status == 0, err
    found = json.loads(out)
    # 60 requests in 100 s by 10 users: 0.06/s each; half of them type.
    assert found["requests_per_second"]["value"] == pytest.approx(0.12, rel=0.05)
    assert found["exactly"] == pytest.approx(100 * 0.06 * 0.5 / 0.9, rel=0.05)


def test_size_limits_the_bytes_of_the_metrics(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, answering: str
) -> None:
    monkeypatch.setattr(connection, "MAX_PAGE_BYTES", 100)
    asked = ("--seconds-per-request", "1", "--from-metrics", f"{answering}/metrics")
    assert "sent a page of more than" in run(capsys, "size", "--users", "5", *asked)[2]


def test_size_reports_invalid_metrics_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, answering: str
) -> None:
    (tmp_path / "a.txt").write_text("hello {")
    for source, why in (
        (f"{answering}/other", "answered 403"),
        ("http://127.0.0.1:1/metrics", "cannot be reached"),
        (str(tmp_path / "none.txt"), "cannot be read"),
        (str(tmp_path / "a.txt"), "Prometheus metrics"),
    ):
        status, out, err = run(
            capsys, "size", "--users", "5", "--seconds-per-request", "1", "--from-metrics", source
        )
        assert status in {1, 2}
        assert out == ""
        assert why in err
        assert err.count("\n") == 1
    assert "either" in run(capsys, "size", "--users", "5", *KNOWN, "--from-metrics", "a")[2]
    three = ("--from-metrics", "a", "b", "c", "--seconds-per-request", "1")
    assert "earlier metrics" in run(capsys, "size", "--users", "5", *three)[2]


def sized(users: int, share: float, rate: float, seconds: float, most: float, **more: Any) -> Sizing:
    return Sizing(users, share, Figure(rate, "given"), Figure(seconds, "measured here"), most, **more)


SIZINGS = st.builds(
    sized,
    st.integers(1, 1_000_000),
    st.floats(0.001, 1.0),
    st.floats(0.001, 100.0),
    st.floats(0.001, 600.0),
    st.floats(0.01, BUSIEST),
    model=st.builds(ModelMemory, st.integers(0, 1 << 40), st.floats(1, 1e7), st.integers(1, 131072)),
)


@given(SIZINGS)
def test_sizing_has_the_fewest_replicas_with_memory_for_all_typing_users(found: Sizing) -> None:
    busy = found.users * found.typing_share * found.rate.value * found.seconds.value / found.utilisation
    assert found.replicas == 1 or found.replicas - 1 <= busy * (1 + 1e-9)
    assert busy <= found.replicas * (1 + 1e-9)
    assert found.model
    assert found.memory
    assert found.memory.users * found.replicas >= found.users * found.typing_share - 1e-6
    assert found.memory.all == found.replicas * (found.model.shared + found.memory.keys_and_values)


def test_sizing_matches_a_manual_calculation() -> None:
    assert sized(3, 0.1, 1.0, 6.0, 0.6).replicas == 3  # in floating point slightly more
    found = sized(300, 0.3, 0.2, 0.25, 0.6, model=ModelMemory(600, 12 * 1024, 4096))
    assert found.memory
    assert (found.replicas, found.memory.users) == (8, 12)
    assert found.memory.each == 600 + 12 * 12 * 1024 * 4096
    assert "c.Turbopilot.sequences_memory = 604" in summary(found)


def test_size_uses_the_singular_for_one_replica() -> None:
    assert summary(sized(1, 0.1, 0.1, 0.1, 0.6)).startswith("1 replica: ")
