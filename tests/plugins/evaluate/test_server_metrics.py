from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.completer import EVENTS
from jupyter_turbopilot.plugins.evaluate.server_metrics import read_counters, requests_per_second
from jupyter_turbopilot.protocol.errors import BadRequestError


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
