from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.plugins.evaluate.sizing import (
    BUSIEST,
    Demand,
    ModelMemory,
    memory_needed,
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


def test_replicas_ignores_rounding_errors() -> None:
    assert Demand(3, 0.1, 1.0, 6.0).exactly(0.6) == 3.0
    assert Demand(3, 0.1, 1.0, 6.0).replicas(0.6) == 3


@given(DEMANDS, PARTS)
def test_replicas_is_the_smallest_number_within_the_utilisation(demand: Demand, part: float) -> None:
    replicas = demand.replicas(part)
    assert demand.busy <= replicas * part * (1 + 1e-9) + 1e-9
    assert replicas == 1 or demand.busy > (replicas - 1) * part * (1 - 1e-9) - 1e-9


@given(DEMANDS, st.integers(1, 10_000), MODELS)
def test_memory_needed_has_room_for_every_typing_user(
    demand: Demand, replicas: int, model: ModelMemory
) -> None:
    needed = memory_needed(demand, replicas, model)
    assert needed.users * replicas >= demand.typing - 1e-6
    assert needed.keys_and_values >= needed.users * model.token * model.context * (1 - 1e-9)
    assert needed.all == replicas * (model.weights + model.compute + needed.keys_and_values)


def test_memory_needed_matches_a_manual_calculation() -> None:
    needed = memory_needed(Demand(300, 0.3, 0.2, 0.25), 8, ModelMemory(500, 100, 12 * 1024, 4096))
    assert (needed.users, needed.keys_and_values) == (12, 12 * 12 * 1024 * 4096)
    assert needed.each == 600 + needed.keys_and_values
