from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.abilities import SAMPLERS, Abilities
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.generation import Beginning, Sampling

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
PLAIN = Abilities(samplers=frozenset())
DRAWING = Abilities(samplers=frozenset({"temperature", "repeat_penalty"}))


def test_every_option_of_sampling_is_either_a_sampler_or_something_that_any_engine_does() -> None:
    assert set(Sampling.__dataclass_fields__) - SAMPLERS == {"max_tokens", "top", "beginning"}
    assert set(ASKED) == SAMPLERS


@given(st.fixed_dictionaries({}, optional={name: st.just(value) for name, value in ASKED.items()}))
def test_an_engine_with_all_samplers_refuses_nothing(options: dict[str, Any]) -> None:
    Abilities().check(Sampling(**options))


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_what_an_engine_would_have_to_ignore_is_refused_by_name(name: str) -> None:
    drawn = Sampling(temperature=0.7, repeat_penalty=1.2)
    DRAWING.check(drawn)
    if name in DRAWING.samplers:
        return
    with pytest.raises(BadRequestError, match=f"does not support {name}") as caught:
        DRAWING.check(replace(drawn, **{name: ASKED[name]}))
    assert caught.value.field == name


@pytest.mark.parametrize("name", ["top_k", "top_p", "min_p", "typical_p", "samplers", "seed", "drawn"])
def test_options_of_drawing_are_no_matter_where_the_likeliest_token_is_taken(name: str) -> None:
    PLAIN.check(Sampling(**{name: ASKED[name]}))


def test_what_is_switched_off_or_was_never_changed_is_not_refused() -> None:
    DRAWING.check(Sampling(temperature=0.7, repeat_penalty=1.2, top_k=0, top_p=1.0, min_p=0.0))
    DRAWING.check(Sampling(temperature=0.7, repeat_penalty=1.2))
    PLAIN.check(Sampling(penalty_last_n=8))


@pytest.mark.parametrize(
    ("name", "beginning"), [("begins", Beginning((b"a",))), ("banned", Beginning(banned=0))]
)
def test_an_engine_that_cannot_be_held_to_a_beginning_refuses_one(name: str, beginning: Beginning) -> None:
    Abilities().check(Sampling(beginning=beginning))
    Abilities(holds=False).check(Sampling())
    with pytest.raises(BadRequestError, match="beginning") as caught:
        Abilities(holds=False).check(Sampling(beginning=beginning))
    assert caught.value.field == name


def test_more_of_the_likeliest_tokens_than_an_engine_lists_are_refused() -> None:
    Abilities(top=5).check(Sampling(top=5))
    with pytest.raises(BadRequestError, match="at most 5") as caught:
        Abilities(top=5).check(Sampling(top=6))
    assert caught.value.field == "logprobs"
    with pytest.raises(BadRequestError, match="none"):
        Abilities(top=0).check(Sampling(top=1))
