from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.base import SAMPLERS
from jupyter_turbopilot.plugins.remote.dialect import (
    UNKNOWN,
    Request,
    Style,
    likeliest,
    probability,
    read_error,
    samplers,
    sampling_fields,
    tenant_fields,
)
from jupyter_turbopilot.plugins.remote.remote_server import Kind
from jupyter_turbopilot.protocol.engine_request import Sampling

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
def test_sampling_fields_contain_every_supported_option(style: Style) -> None:
    sent = sampling_fields(ALL, style)
    assert len(sent) == len(samplers(style))
    assert sent["temperature"] == 0.5
    assert sent["top_p"] == 0.7


@pytest.mark.parametrize("style", ["openai", "vllm", "llama"])
def test_sampling_fields_without_temperature_omit_samplers(style: Style) -> None:
    sent = sampling_fields(Sampling(), style)
    assert sent["temperature"] == 0
    assert not {"top_p", "top_k", "seed", "samplers", "logit_bias"} & sent.keys()


def test_sampling_fields_disable_the_servers_default_penalty() -> None:
    assert sampling_fields(Sampling(), "vllm")["repetition_penalty"] == 1.0


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"error": {"param": "repetition_penalty", "message": "SECRET"}}', ("repeat_penalty", "")),
        (b'{"error": {"message": "Field \'repeat_last_n\': Value must be SECRET"}}', ("penalty_last_n", "")),
        (b'{"error": {"message": "Field \'SECRET\' is none", "param": null}}', ("", "")),
        (b'{"error": {"param": "prompt"}}', ("", "")),
        (b'{"error": {"param": 3}}', ("", "")),
        (b'{"error": "SECRET"}', ("", "")),
        (b'{"error": {"code": "model_missing", "message": "SECRET"}}', ("", "model_missing")),
        (b'{"error": {"code": 503}}', ("", "")),
        (b'{"message": "Forbidden"}', ("", "")),
        (b"<html>", ("", "")),
        (b"[" * 100_000, ("", "")),
    ],
)
def test_read_error_returns_only_known_options_and_the_code(data: bytes, found: tuple[str, str]) -> None:
    assert read_error(data) == found


def test_request_repr_hides_the_body() -> None:
    assert "hush" not in repr(Request("/x", {"prompt": "hush"}))


@pytest.mark.parametrize("kind", Kind)
def test_owner_fields_separate_or_disable_the_cache(kind: Kind) -> None:
    fields = {
        Kind.OURS: {"cache_salt": "o"},
        Kind.VLLM: {"cache_salt": "o"},
        Kind.OPENAI: {"cache_salt": "o"},  # it may be vLLM continues a router with its own list of models
        Kind.LLAMA: {"cache_prompt": False},
    }
    assert tenant_fields(kind, "o") == fields.get(kind, {})
    assert tenant_fields(kind, "") == {}


ANY = st.none() | st.floats()


@given(ANY)
def test_probability_is_always_valid(value: float | None) -> None:
    assert 0.0 <= probability(value) <= 1.0


@pytest.mark.parametrize("value", [None, math.nan, 0.5, math.inf, -math.inf])
def test_probability_of_an_invalid_logprob_is_unknown(value: float | None) -> None:
    assert probability(value) == UNKNOWN


def test_probability_accepts_rounding_errors() -> None:
    assert probability(1e-7) == 1.0


@given(st.lists(st.tuples(st.integers(0, 99), ANY)))
def test_likeliest_returns_sorted_valid_logprobs(pairs: list[tuple[int, float | None]]) -> None:
    values = [value for _, value in likeliest(pairs)]
    assert values == sorted(values, reverse=True)
    assert all(value <= 0 for value in values)
