from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.llama.sampler_chain import SamplerChain
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.plugins.transformers.sampler import NumpySampler
from jupyter_turbopilot.protocol.engine_request import SAMPLERS, Sampling
from jupyter_turbopilot.protocol.errors import BadRequestError

from ...engine.llama.test_sampler_chain import EXTREME

NONE = np.array([], dtype=np.int64)
SIZE = 260  # the tiny model's tokens
FLAT = np.zeros(SIZE, dtype=np.float32)


def logits_of(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> Iterator[LlamaEngine]:
    engine = LlamaEngine(tiny_model, LoadPlan(128, 1), name="tiny")
    yield engine
    engine.close()


def sampler(prompt: list[int] | None = None, hidden: Any = NONE, **more: Any) -> NumpySampler:
    return NumpySampler(Sampling(**({"temperature": 0.8} | more)), hidden, SIZE, prompt or [1, 2, 3])


options = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([0.0, 0.3, 1.0, 2.0]),
        "top_k": st.sampled_from([0, 1, 5, 40, 1000]),
        "top_p": st.sampled_from([0.0, 0.3, 0.9, 1.0]),
        "min_p": st.sampled_from([0.0, 0.05, 0.5, 2.0]),
        "typical_p": st.sampled_from([0.2, 0.8, 1.0]),
        "repeat_penalty": st.sampled_from([0.5, 1.0, 1.3]),
        "frequency_penalty": st.sampled_from([0.0, 0.7]),
        "presence_penalty": st.sampled_from([0.0, -0.4]),
        "penalty_last_n": st.sampled_from([-1, 0, 4, 64]),
        "logit_bias": st.sampled_from([(), ((5, 3.0), (6, -5.0))]),
        "samplers": st.permutations(SAMPLERS).map(tuple),
    }
)


@given(options, st.integers(0, 2**32 - 1))
def test_sampler_has_the_same_candidates_as_llama_cpp(
    engine: LlamaEngine, asked: dict[str, Any], seed: int
) -> None:
    random = np.random.default_rng(seed)
    prompt = random.integers(0, SIZE, 30).tolist()
    logits = (random.standard_normal(SIZE) * 3).astype(np.float32)
    sampling = Sampling(**asked)
    ours = NumpySampler(sampling, NONE, SIZE, prompt)
    theirs = SamplerChain(engine._lib, engine.vocabulary.handle, SIZE, sampling, NONE, prompt)
    for token in random.integers(0, SIZE, 6).tolist():
        ours.accept(token)
        theirs.accept(token)
    drawn, known = ours.pick(logits), theirs.pick(logits)
    assert drawn is not None
    assert known is not None
    if sampling.temperature <= 0:
        assert drawn == known
    left, wanted = dict(ours.chances(drawn, SIZE)[1]), dict(theirs.chances(known, SIZE)[1])
    assert drawn in left
    assert left == pytest.approx(wanted, abs=1e-3)
    theirs.close()


def test_sampler_draws_tokens_according_to_probability() -> None:
    logits = FLAT - 99
    logits[[1, 2, 3]] = np.log([0.6, 0.3, 0.1])
    one = sampler(temperature=1.0, top_p=1.0)
    drawn = Counter(one.pick(logits) for _ in range(2000))
    assert drawn.keys() == {1, 2, 3}
    assert [drawn[token] / 2000 for token in (1, 2, 3)] == pytest.approx([0.6, 0.3, 0.1], abs=0.05)


def test_sampler_never_draws_hidden_tokens() -> None:
    hidden = np.arange(SIZE - 1, dtype=np.int64)
    for temperature in (0.0, 1.0):
        assert sampler(hidden=hidden, temperature=temperature).pick(FLAT) == SIZE - 1
        assert sampler(hidden=np.arange(SIZE), temperature=temperature).pick(FLAT) is None


@pytest.mark.parametrize("asked", [*EXTREME, {"logit_bias": (("text", 1.0),)}, {"samplers": ("nonsense",)}])
def test_sampler_draws_a_token_with_extreme_values(asked: dict[str, Any]) -> None:
    one = sampler(**asked)
    for _ in range(5):
        token = one.pick(FLAT)
        assert token is not None
        assert 0 <= token < SIZE
        one.accept(token)
    one.close()


def test_sampler_rejects_infill() -> None:
    with pytest.raises(BadRequestError, match="infill") as refused:
        sampler(samplers=("top_k", "infill"))
    assert refused.value.field == "samplers"
