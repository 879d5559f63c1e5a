from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_turbopilot.engine.llama import sampler_chain as chain_module
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.llama.sampler_chain import LIKELIEST, SamplerChain
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.generation import SAMPLERS, Sampling

SIZE = 260  # the tiny model's tokens: its bytes and its control tokens
FLAT = np.zeros(SIZE, dtype=np.float32)


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> Iterator[LlamaEngine]:
    engine = LlamaEngine(tiny_model, name="tiny", context_size=128, threads=1)
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
def test_infill_over_a_whole_vocabulary_is_refused_by_name(
    engine: LlamaEngine, asked: dict[str, Any]
) -> None:
    with pytest.raises(BadRequestError, match="top_k") as refused:
        chain(engine, **asked)
    assert refused.value.field == "samplers"


def test_infill_behind_a_small_top_k_draws(engine: LlamaEngine) -> None:
    assert chain(engine, samplers=("top_k", "infill"), top_k=128).pick(FLAT) is not None


@pytest.mark.parametrize(
    "asked",
    [
        {"repeat_penalty": 1.1, "penalty_last_n": 2**31 - 1},
        {"repeat_penalty": 1.1, "penalty_last_n": -1},
        {"repeat_penalty": 0.0, "frequency_penalty": 1e300, "presence_penalty": -1e300},
        {"temperature": 1e-300},
        {"temperature": 1e300},
        {"top_k": 0, "typical_p": 0.0, "top_p": 0.0, "min_p": 2.0},
        {"top_k": 2**31 - 1, "samplers": SAMPLERS * 1000},
        {"grammar": "root ::= [a-z]+", "repeat_penalty": 0.0, "frequency_penalty": 1e300},
        {"logit_bias": ((5, 1e308), (6, 1e308), (-1, 1.0), (10**9, 1.0))},
    ],
)
def test_extreme_values_still_draw_a_token(engine: LlamaEngine, asked: dict[str, Any]) -> None:
    made = chain(engine, **asked)
    token = made.pick(FLAT)
    assert token is not None
    assert 0 <= token < SIZE
    made.accept(token)
    made.close()


@pytest.mark.parametrize("temperature", [0.0, 1.0, 1e-300])
def test_a_bias_beyond_all_bounds_means_always(engine: LlamaEngine, temperature: float) -> None:
    assert chain(engine, temperature=temperature, logit_bias=((5, 1e308),)).pick(FLAT) == 5


def test_a_window_of_penalties_is_no_longer_than_the_text_can_get(engine: LlamaEngine) -> None:
    made: list[int] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            if name == "llama_sampler_init_penalties":
                return lambda size, window, *rest: (
                    made.append(window) or getattr(engine._lib, name)(size, window, *rest)
                )
            return getattr(engine._lib, name)

    sampling = Sampling(max_tokens=20, temperature=1.0, repeat_penalty=1.1, penalty_last_n=2**31 - 1)
    none = np.array([], dtype=np.int64)
    SamplerChain(Counting(), engine.vocabulary.handle, SIZE, sampling, none, none, [1, 2, 3]).close()  # type: ignore[arg-type]
    assert made == [23]


def test_a_grammar_is_never_asked_about_a_whole_vocabulary(
    engine: LlamaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = chain(engine, grammar='root ::= "x"+')
    asked: list[int] = []
    allowed = made._allowed

    def counting(ids: Any, weighed: Any) -> Any:
        asked.append(len(ids))
        return allowed(ids, weighed)

    monkeypatch.setattr(made, "_allowed", counting)
    away = FLAT - np.where(np.arange(SIZE) == ord("x"), 9, 0).astype(np.float32)
    assert engine.vocabulary.piece(made.pick(away) or 0) == b"x"
    assert asked[:2] == [1, LIKELIEST[0]]
    toward = FLAT + np.where(np.arange(SIZE) == engine.vocabulary.tokenize("x")[0], 99, 0).astype(np.float32)
    asked.clear()
    assert engine.vocabulary.piece(made.pick(toward) or 0) == b"x"
    assert asked == [1]


def behind_a_crowd(token: int) -> np.ndarray:
    """Make one token likeliest, then a crowd that no grammar of letters allows, then the other letters."""
    logits = FLAT - 30
    logits[ord("a") : ord("z") + 1] = 3.9
    logits[128:228] = 4
    logits[token] = 5
    return logits


def test_a_letter_that_is_less_likely_than_many_forbidden_tokens_is_still_drawn(engine: LlamaEngine) -> None:
    logits = behind_a_crowd(ord("a"))
    drawn = Counter(
        chain(engine, grammar="root ::= [a-z]", temperature=1.0, top_k=0, top_p=1.0, seed=seed).pick(logits)
        for seed in range(300)
    )
    a, *others = (drawn[letter] for letter in range(ord("a"), ord("z") + 1))
    assert drawn.total() == a + sum(others)
    # As often as its probability among the letters says.
    share = math.exp(5) / (math.exp(5) + 25 * math.exp(3.9))
    assert abs(a / 300 - share) < 0.09
    assert sum(map(bool, others)) > 20


@pytest.mark.parametrize("temperature", [0.0, 1e-4])
def test_what_a_penalty_makes_unlikely_is_not_chosen_for_being_among_the_first(
    engine: LlamaEngine, temperature: float
) -> None:
    logits = behind_a_crowd(ord("a"))
    logits[ord("q")] = 3.95
    sampling = Sampling(grammar="root ::= [a-z]", temperature=temperature, presence_penalty=9.0)
    made = engine.sampler(sampling, [])
    made._lib.llama_sampler_accept(made._chain, ord("a"))
    assert made.pick(logits) == ord("q")


@pytest.mark.parametrize(
    ("more", "logits", "pieces"),
    [
        ({}, FLAT, [1, 64, 64, 64, 68]),  # whatever is left may be drawn
        ({}, behind_a_crowd(ord("a")), [1, 64, 64]),  # nothing that is left would be
        ({"top_k": 1}, behind_a_crowd(ord("a")), [1, 64]),
        ({"temperature": 0.0}, behind_a_crowd(ord("a")), [1, 64]),
    ],
)
def test_a_grammar_is_asked_about_no_more_tokens_than_matter(
    engine: LlamaEngine, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], logits: Any, pieces: list[int]
) -> None:
    monkeypatch.setattr(chain_module, "LIKELIEST", (64, 128, 192, 260))
    made = chain(engine, **({"grammar": "root ::= [a-z]", "temperature": 1.0, "top_k": 0} | more))
    asked: list[int] = []
    allowed = made._allowed
    monkeypatch.setattr(made, "_draw", draw_forbidden_first(made._draw))
    monkeypatch.setattr(
        made, "_allowed", lambda ids, weighed: (asked.append(len(ids)), allowed(ids, weighed))[1]
    )
    assert made.pick(logits) is not None
    assert asked == pieces


def draw_forbidden_first(draw: Any) -> Any:
    return lambda ids, weighed: 200 if len(ids) == SIZE else draw(ids, weighed)


@pytest.mark.parametrize(
    "grammar",
    [
        'root ::= "secret',
        "root ::= secret",
        "secret",
        'root ::= "\\q secret"',
        "root ::= root secret",
        "secret ::= [a]",
    ],
)
def test_nothing_of_a_bad_grammar_is_printed(
    engine: LlamaEngine, grammar: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BadRequestError):
        chain(engine, grammar=grammar)
    print("Python still can", file=sys.stderr)
    assert capfd.readouterr() == ("", "Python still can\n")
