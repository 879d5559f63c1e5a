from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.completer import EVENTS
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.evaluate.sizing import (
    BUSIEST,
    Demand,
    ModelMemory,
    memory_needed,
    read_counters,
    requests_per_second,
)

PEOPLE = st.integers(1, 1_000_000)
SHARES = st.floats(0.001, 1.0)
RATES = st.floats(0.001, 100.0)
SECONDS = st.floats(0.001, 600.0)
PARTS = st.floats(0.01, BUSIEST)
DEMANDS = st.builds(Demand, PEOPLE, SHARES, RATES, SECONDS)
MODELS = st.builds(
    ModelMemory, st.integers(0, 1 << 40), st.integers(0, 1 << 30), st.floats(1, 1e7), st.integers(1, 131072)
)


def test_three_hundred_people_need_eight_replicas_by_hand() -> None:
    demand = Demand(300, 0.3, 0.2, 0.25)
    assert demand.busy == pytest.approx(4.5)
    assert demand.exactly() == 7.5
    assert demand.replicas() == 8


def test_rounding_adds_no_replica() -> None:
    assert Demand(3, 0.1, 1.0, 6.0).exactly() == 3.0
    assert Demand(3, 0.1, 1.0, 6.0).replicas() == 3


@given(DEMANDS, PARTS)
def test_no_replica_is_busier_than_it_may_be_and_none_is_too_many(demand: Demand, part: float) -> None:
    replicas = demand.replicas(part)
    assert demand.busy <= replicas * part * (1 + 1e-9) + 1e-9
    assert replicas == 1 or demand.busy > (replicas - 1) * part * (1 - 1e-9) - 1e-9


@given(DEMANDS, st.integers(1, 10_000), MODELS)
def test_everybody_who_types_has_room_somewhere(demand: Demand, replicas: int, model: ModelMemory) -> None:
    needed = memory_needed(demand, replicas, model)
    assert needed.people * replicas >= demand.typing - 1e-6
    assert needed.keys_and_values >= needed.people * model.token * model.context * (1 - 1e-9)
    assert needed.all == replicas * (model.weights + model.compute + needed.keys_and_values)


def test_the_default_models_memory_by_hand() -> None:
    needed = memory_needed(Demand(300, 0.3, 0.2, 0.25), 8, ModelMemory(500, 100, 12 * 1024, 4096))
    assert (needed.people, needed.keys_and_values) == (12, 12 * 12 * 1024 * 4096)
    assert needed.each == 600 + needed.keys_and_values


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
        [*lines, f"turbopilot_known_total {known}.0", f"turbopilot_taken_over_total {taken_over}.0", ""]
    )


def test_what_is_counted_reached_the_model() -> None:
    text = counters(
        known=10, taken_over=15, answered=100, superseded=20, disconnected=3, busy=500, yielded=40, loading=7
    )
    assert read_counters(text, 1200.0).requests == 98


def test_a_rate_is_that_since_the_start_or_since_the_earlier_counters() -> None:
    now = read_counters(counters(answered=100), 1100.0)
    assert requests_per_second(now) == 1.0
    assert requests_per_second(now, read_counters(counters(answered=40), 1080.0)) == 3.0


@pytest.mark.parametrize(
    ("earlier", "words"),
    [
        (read_counters(counters(answered=200), 1050.0), "started again"),
        (read_counters(counters(answered=1, since=1.0), 20.0), "started again"),
        (read_counters(counters(answered=100), 1050.0), "Nothing was counted"),
        (read_counters(counters(answered=90), 1100.0), "Nothing was counted"),
    ],
)
def test_counters_that_say_nothing_together_are_refused(earlier: object, words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        requests_per_second(read_counters(counters(answered=100), 1100.0), earlier)  # type: ignore[arg-type]


def test_a_server_of_ours_writes_what_is_read() -> None:
    from types import SimpleNamespace

    from jupyter_turbopilot.server.metrics import Metrics

    worker = SimpleNamespace(state=SimpleNamespace(ready=True), waiting=0, engine=None)
    counted = dict.fromkeys(EVENTS, 0) | {"hidden": 0, "known": 1, "recalled": 0, "taken_over": 1}
    completer = SimpleNamespace(counters=counted)
    metrics = Metrics(SimpleNamespace(worker=worker, completer=completer))  # type: ignore[arg-type]
    for outcome in ("answered", "answered", "answered", "superseded", "busy"):
        metrics.count("complete", outcome)
    assert read_counters(metrics.text().decode(), 1e12).requests == 2


@given(st.one_of(st.text(), st.text(alphabet='turbopilot_known_total{}="# TYPE\n01e+,')))
def test_what_is_no_counters_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadRequestError, match=r"no counters|not the counters"):
        read_counters(text, 0.0)


@pytest.mark.parametrize("number", ["NaN", "+Inf", "-Inf"])
def test_numbers_that_are_none_are_refused(number: str) -> None:
    text = counters(answered=7).replace("7.0", number)
    with pytest.raises(BadRequestError, match="not the counters"):
        read_counters(text, 1e4)
