from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.base import SAMPLERS
from jupyter_turbopilot.engine.remote.dialect import (
    UNKNOWN,
    Request,
    Style,
    likeliest,
    probability,
    refused_option,
    samplers,
    sampling_fields,
    tenant_fields,
)
from jupyter_turbopilot.engine.remote.remote_server import Kind
from jupyter_turbopilot.generation import Sampling

ALL = Sampling(
    temperature=0.5,
    top_k=3,
    top_p=0.7,
    min_p=0.1,
    typical_p=0.9,
    repeat_penalty=1.1,
    frequency_penalty=0.2,
    presence_penalty=0.3,
    penalty_last_n=7,
    logit_bias=((5, 1.0), ("ab", -2.0)),
    samplers=("top_k",),
    ignore_end=True,
    seed=9,
    drawn=True,
    cached=False,
)


def test_llama_styles_have_a_field_for_every_option() -> None:
    assert samplers("llama") == SAMPLERS
    assert len(sampling_fields(ALL, "llama")) == len(SAMPLERS)


@pytest.mark.parametrize("style", ["openai", "vllm", "llama"])
def test_every_option_that_is_claimed_is_sent(style: Style) -> None:
    sent = sampling_fields(ALL, style)
    assert len(sent) == len(samplers(style))
    assert sent["temperature"] == 0.5
    assert sent["top_p"] == 0.7


@pytest.mark.parametrize("style", ["openai", "vllm", "llama"])
def test_the_likeliest_token_is_not_drawn(style: Style) -> None:
    sent = sampling_fields(Sampling(), style)
    assert sent["temperature"] == 0
    assert not {"top_p", "top_k", "seed", "samplers", "logit_bias"} & sent.keys()


def test_a_penalty_of_the_far_sides_own_is_switched_off() -> None:
    assert sampling_fields(Sampling(), "vllm")["repetition_penalty"] == 1.0


@pytest.mark.parametrize(
    ("data", "option"),
    [
        (b'{"error": {"param": "repetition_penalty", "message": "SECRET"}}', "repeat_penalty"),
        (b'{"error": {"message": "Field \'repeat_last_n\': Value must be SECRET"}}', "penalty_last_n"),
        (b'{"error": {"message": "Field \'SECRET\' is none", "param": null}}', ""),
        (b'{"error": {"param": "prompt"}}', ""),
        (b'{"error": {"param": 3}}', ""),
        (b'{"error": "SECRET"}', ""),
        (b"<html>", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_of_a_refusal_only_the_options_name_is_read(data: bytes, option: str) -> None:
    assert refused_option(data) == option


def test_what_is_sent_stands_in_no_log() -> None:
    assert "hush" not in repr(Request("/x", {"prompt": "hush"}))


@pytest.mark.parametrize("kind", Kind)
def test_an_owner_is_told_to_who_knows_owners_and_nothing_is_reused_where_nobody_does(kind: Kind) -> None:
    told = {
        Kind.OURS: {"cache_salt": "o"},
        Kind.VLLM: {"cache_salt": "o"},
        Kind.OPENAI: {"cache_salt": "o"},  # it may be vLLM behind a router with a list of models of its own
        Kind.LLAMA: {"cache_prompt": False},
    }
    assert tenant_fields(kind, "o") == told.get(kind, {})
    assert tenant_fields(kind, "") == {}


ANY = st.none() | st.floats()


@given(ANY)
def test_whatever_is_told_a_probability_is_one(value: float | None) -> None:
    assert 0.0 <= probability(value) <= 1.0


@pytest.mark.parametrize("value", [None, math.nan, 0.5, math.inf, -math.inf])
def test_what_makes_no_sense_is_unknown(value: float | None) -> None:
    assert probability(value) == UNKNOWN


def test_a_logarithm_that_was_rounded_up_is_certain() -> None:
    assert probability(1e-7) == 1.0


@given(st.lists(st.tuples(st.integers(0, 99), ANY)))
def test_the_likeliest_are_in_order_and_make_sense(pairs: list[tuple[int, float | None]]) -> None:
    values = [value for _, value in likeliest(pairs)]
    assert values == sorted(values, reverse=True)
    assert all(value <= 0 for value in values)
