from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.completer import EVENTS
from jupyter_turbopilot.plugins.evaluate import notebooks
from jupyter_turbopilot.plugins.evaluate.crowd import (
    Measured,
    read_counters,
    requests_per_second,
    simulate_users,
)
from jupyter_turbopilot.plugins.evaluate.notebooks import TypedNotebook
from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError

DATA = Path(__file__).parents[2] / "data"


class Engine:
    """Accepts every second request."""

    capabilities = SimpleNamespace(remote=False)

    def __init__(self) -> None:
        self.asked = 0

    def start(self, ask: object) -> object:
        self.asked += 1
        return ask if self.asked % 2 else None

    def step(self, runs: list[object], attention: object) -> None:
        if attention:
            raise RuntimeError


class Local:
    """Records callers and leaves their requests unanswered."""

    def __init__(self, fails: BaseException | None = None, *, engine: Engine | None = None) -> None:
        self.fails = fails
        self.callers: set[str] = set()
        self.engine = engine or Engine()
        worker = SimpleNamespace(engine=self.engine)
        self.pilot = SimpleNamespace(completer=self, worker=worker)
        self.counters: dict[str, int] = {}

    def submit(self, request: object, listener: object, caller: str = "", tenant: str = "") -> None:
        self.callers.add(caller)
        if self.fails:
            raise self.fails
        self.engine.start(request)


@pytest.fixture
def typed() -> list[TypedNotebook]:
    return notebooks.read(DATA)


def test_type_at_once_uses_a_different_user_for_each_thread(typed: list[TypedNotebook]) -> None:
    local = Local()
    passed: list[float] = []
    found = simulate_users(local, typed, 3, 0.2, 0.01, passed.append)  # type: ignore[arg-type]
    assert local.callers == {"typist 0", "typist 1", "typist 2"}
    assert found.users == 3
    assert found.requests > 0
    assert passed == sorted(passed)


def test_type_at_once_refuses_a_remote_model(typed: list[TypedNotebook]) -> None:
    engine = Engine()
    engine.capabilities = SimpleNamespace(remote=True)
    with pytest.raises(TurbopilotError, match="runs on a remote server"):
        simulate_users(Local(engine=engine), typed, 1, 1.0, 0.1)  # type: ignore[arg-type]


def test_people_for_reaches_the_requested_utilisation() -> None:
    alone = Measured(1, 40.0, 60, 8.0)
    assert (alone.requests_per_second, alone.utilisation) == (1.5, 0.2)
    assert alone.seconds_per_request == pytest.approx(8 / 60)
    assert alone.users_for(0.6, 16) == 3
    assert alone.users_for(0.01, 16) == 1
    assert Measured(1, 40.0, 0, 0.0).users_for(0.6, 16) == 16
    assert Measured(2, 10.0, 0, 0.0).seconds_per_request == 0.0


def counters(known: int = 0, taken_over: int = 0, since: float = 1000.0, **outcomes: int) -> str:
    lines = ["# TYPE turbopilot_requests_total counter"]
    lines += [
        f'turbopilot_requests_total{{route="complete",outcome="{outcome}"}} {count}.0'
        for outcome, count in outcomes.items()
    ]
    lines += ["# TYPE turbopilot_requests_created gauge"]
    lines += [
        f'turbopilot_requests_created{{route="complete",outcome="{outcome}"}} {since}' for outcome in outcomes
    ]
    return "\n".join(
        [*lines, f"turbopilot_cache_hits_total {known}.0", f"turbopilot_continued_total {taken_over}.0", ""]
    )


def test_read_counters_counts_requests_that_reached_the_model() -> None:
    text = counters(
        known=10,
        taken_over=15,
        completed=90,
        empty=10,
        superseded=20,
        disconnected=3,
        refused=500,
        yielded=40,
        failed=7,
    )
    assert read_counters(text, 1200.0).requests == 98


def test_requests_per_second_uses_the_start_or_earlier_metrics() -> None:
    now = read_counters(counters(completed=100), 1100.0)
    assert requests_per_second(now) == 1.0
    assert requests_per_second(now, read_counters(counters(completed=40), 1080.0)) == 3.0


@pytest.mark.parametrize(
    ("earlier", "words"),
    [
        (read_counters(counters(completed=200), 1050.0), "restarted"),
        (read_counters(counters(completed=1, since=1.0), 20.0), "restarted"),
        (read_counters(counters(completed=100), 1050.0), "No requests were counted"),
        (read_counters(counters(completed=90), 1100.0), "No requests were counted"),
    ],
)
def test_requests_per_second_refuses_inconsistent_metrics(earlier: object, words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        requests_per_second(read_counters(counters(completed=100), 1100.0), earlier)  # type: ignore[arg-type]


def test_read_counters_reads_the_metrics_of_a_server() -> None:
    from jupyter_turbopilot.jupyter.metrics import Metrics

    worker = SimpleNamespace(state=SimpleNamespace(ready=True), waiting=0, engine=None, level=lambda: 0)
    counted = dict.fromkeys(EVENTS, 0) | {"hidden": 0, "cache_hits": 1, "index_matches": 0, "continued": 1}
    completer = SimpleNamespace(counters=counted)
    metrics = Metrics(SimpleNamespace(worker=worker, completer=completer))  # type: ignore[arg-type]
    for outcome in ("completed", "empty", "timed_out", "superseded", "refused"):
        metrics.count("complete", outcome)
    assert read_counters(metrics.text().decode(), 1e12).requests == 2


@given(st.one_of(st.text(), st.text(alphabet='turbopilot_cache_hits_total{}="# TYPE\n01e+,')))
def test_read_counters_refuses_other_texts(text: str) -> None:
    with pytest.raises(BadRequestError, match=r"not Prometheus metrics|not the metrics"):
        read_counters(text, 0.0)


@pytest.mark.parametrize("number", ["NaN", "+Inf", "-Inf"])
def test_read_counters_refuses_invalid_numbers(number: str) -> None:
    text = counters(completed=7).replace("7.0", number)
    with pytest.raises(BadRequestError, match="not the metrics"):
        read_counters(text, 1e4)
