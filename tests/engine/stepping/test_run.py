from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.stepping.run import Guess, Share, StepRun
from jupyter_turbopilot.engine.stepping.sampling import Logits
from jupyter_turbopilot.engine.stepping.sequences import KVSequence
from jupyter_turbopilot.engine.stepping.vocabulary import ByteTable
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling

TABLE = ByteTable([b"a", b"b", b"ab", b"abc", b""])
END = 4
CONTROLS = np.array([END], dtype=np.int64)


def run_of(tokens: list[int], evaluated: int = 0, sampling: Sampling | None = None) -> StepRun:
    """Return a run with this number of evaluated tokens."""
    sampling, sequence = sampling or Sampling(), KVSequence(7, tokens=tokens[:evaluated])
    return StepRun(EngineRequest(tokens, sampling), sequence, list(tokens), 10, sampling.beginning, 0.0)


def logits(*likeliest: int) -> Logits:
    """Return a row with these tokens as the most likely, in this order."""
    row = np.zeros(len(TABLE.pieces), dtype=np.float32)
    row[list(likeliest)] = np.arange(len(likeliest), 0, -1)
    return row


def choose(run: StepRun, row: Logits) -> int | None:
    return run.choose(row, TABLE, CONTROLS, {END})


tokens = st.lists(st.integers(0, 3), min_size=1, max_size=20)


@given(tokens, st.data(), tokens)
def test_share_rows_have_positions_and_outputs(
    prompt: list[int], data: st.DataObject, guessed: list[int]
) -> None:
    evaluated = data.draw(st.integers(0, len(prompt) - 1))
    run = run_of(prompt, evaluated)
    known = data.draw(st.integers(1, run.pending))
    guess = Guess("lookup", guessed) if known == run.pending else Guess()
    rows = list(Share(run, known, guess).rows())
    assert [row.token for row in rows] == [*prompt[evaluated : evaluated + known], *guess.tokens]
    assert [row.position for row in rows] == list(range(evaluated, evaluated + len(rows)))
    assert {row.sequence for row in rows} == {7}
    outputs = 1 + len(guess.tokens) if known == run.pending else 0
    assert [row.output for row in rows] == [False] * (len(rows) - outputs) + [True] * outputs


class ScriptedSampler:
    """A sampler that returns the given tokens."""

    def __init__(self, *drawn: int | None) -> None:
        self.drawn = list(drawn)
        self.accepted: list[int] = []

    def pick(self, logits: Logits) -> int | None:
        return self.drawn.pop(0)

    def chances(self, token: int, count: int) -> tuple[float, tuple[tuple[int, float], ...]]:
        return 0.25, ((token, -1.0),) * count

    def accept(self, token: int) -> None:
        self.accepted.append(token)

    def close(self) -> None:
        pass


def test_choose_accepts_sampled_tokens_until_there_is_none() -> None:
    run = run_of([0])
    run.sampler = sampler = ScriptedSampler(1, None)
    assert choose(run, logits(2)) == 1
    assert choose(run, logits(2)) is None
    assert (sampler.accepted, run.tokens, run.wrote) == ([1], [0, 1], 2)


@pytest.mark.parametrize(("drawn", "probability"), [(True, 0.25), (False, 1 / (np.e + 4))])
def test_choose_returns_probabilities_before_or_after_sampling(drawn: bool, probability: float) -> None:
    run = run_of([0], sampling=Sampling(top=2, drawn=drawn, temperature=1.0))
    run.sampler = ScriptedSampler(1)
    choose(run, logits(2))
    assert run.fresh[0].probability == pytest.approx(probability, rel=1e-5)
    assert len(run.fresh[0].top) == 2
