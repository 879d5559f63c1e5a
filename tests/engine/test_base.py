from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.base import MAX_STEPS, Capabilities, Speed, generate_one
from jupyter_turbopilot.protocol.engine_request import Sampling

from ..scripted_engine import ScriptedEngine, ScriptedRun

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.cancel import Cancel


def test_speed_is_an_average_of_the_batches() -> None:
    speed = Speed().after(64, 1.0).after(1, 0.1)
    assert speed == Speed(64.0, 10.0)
    assert speed.after(64, 2.0).after(1, 0.05) == Speed(48.0, 15.0)
    assert speed.after(5, 1.0).after(64, 0.0) == speed  # a draft; a clock that stands still


# A value of each option that changes which token follows.
ASKED: dict[str, Any] = {
    "temperature": 0.7,
    "top_k": 3,
    "top_p": 0.5,
    "min_p": 0.1,
    "typical_p": 0.9,
    "samplers": ("top_p",),
    "seed": 4,
    "repeat_penalty": 1.1,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "penalty_last_n": 8,
    "logit_bias": ((5, 1.0),),
    "ignore_end": True,
    "drawn": True,
    "cached": False,
}


@given(st.fixed_dictionaries({}, optional={name: st.just(value) for name, value in ASKED.items()}))
def test_check_accepts_all_options_with_all_samplers(options: dict[str, Any]) -> None:
    Capabilities().check(Sampling(**options))


def test_generate_one_stops_if_no_token_is_generated() -> None:
    class Reading(ScriptedEngine):
        steps = 0

        def step(self, runs: Sequence[ScriptedRun], interrupt: Cancel) -> None:
            self.steps += 1

    engine = Reading()
    generate_one(engine)
    assert (engine.steps, engine.released) == (MAX_STEPS, 1)


@pytest.mark.parametrize("method", ["start", "step", "release"])
@pytest.mark.parametrize("error", [OSError("gone"), SystemExit()])
def test_generate_one_raises_the_error_of_the_engine(
    method: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine("word")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(engine, method, fail)
    with pytest.raises(type(error)):
        generate_one(engine)
