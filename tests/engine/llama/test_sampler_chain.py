from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.llama.sampler_chain import SamplerChain
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.protocol.engine_request import SAMPLERS, Sampling
from jupyter_turbopilot.protocol.errors import BadRequestError

SIZE = 260  # the tiny model's tokens: its bytes and its control tokens
FLAT = np.zeros(SIZE, dtype=np.float32)


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> Iterator[LlamaEngine]:
    engine = LlamaEngine(tiny_model, LoadPlan(128, 1), name="tiny")
    yield engine
    engine.close()


def chain(engine: LlamaEngine, **more: Any) -> SamplerChain:
    return engine.sampler(Sampling(**({"temperature": 0.8} | more)), [1, 2, 3])


@pytest.mark.parametrize(
    "asked",
    [
        {"samplers": ("infill",)},
        {"samplers": ("infill", "top_k")},
        {"samplers": ("top_k", "infill"), "top_k": 0},
        {"samplers": ("top_k", "infill"), "top_k": 129},
        {"samplers": ("top_p", "min_p", "infill")},
    ],
)
def test_sampler_chain_rejects_infill_without_a_small_top_k(
    engine: LlamaEngine, asked: dict[str, Any]
) -> None:
    with pytest.raises(BadRequestError, match="top_k") as refused:
        chain(engine, **asked)
    assert refused.value.field == "samplers"


def test_sampler_chain_samples_with_infill_after_a_small_top_k(engine: LlamaEngine) -> None:
    assert chain(engine, samplers=("top_k", "infill"), top_k=128).pick(FLAT) is not None


EXTREME: list[dict[str, Any]] = [
    {"repeat_penalty": 1.1, "penalty_last_n": 2**31 - 1},
    {"repeat_penalty": 1.1, "penalty_last_n": -1},
    {"repeat_penalty": 0.0, "frequency_penalty": 1e300, "presence_penalty": -1e300},
    {"temperature": 1e-300},
    {"temperature": 1e300},
    {"top_k": 0, "typical_p": 0.0, "top_p": 0.0, "min_p": 2.0},
    {"top_k": 2**31 - 1, "samplers": SAMPLERS * 1000},
    {"logit_bias": ((5, 1e308), (6, 1e308), (-1, 1.0), (10**9, 1.0))},
]


@pytest.mark.parametrize("asked", EXTREME)
def test_sampler_chain_samples_a_token_with_extreme_values(
    engine: LlamaEngine, asked: dict[str, Any]
) -> None:
    made = chain(engine, **asked)
    token = made.pick(FLAT)
    assert token is not None
    assert 0 <= token < SIZE
    made.accept(token)
    made.close()
