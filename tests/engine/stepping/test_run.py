from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.stepping.run import Guess, Share, StepRun
from jupyter_turbopilot.engine.stepping.sampling import Logits
from jupyter_turbopilot.engine.stepping.sequences import KVSequence
from jupyter_turbopilot.engine.stepping.vocabulary import ByteTable
from jupyter_turbopilot.generation import EngineRequest, Sampling

TABLE = ByteTable([b"a", b"b", b"ab", b"abc", b""])
END = 4
CONTROLS = np.array([END], dtype=np.int64)


def run_of(tokens: list[int], read: int = 0, sampling: Sampling | None = None) -> StepRun:
    """Return a run of which so many tokens have been read."""
    sampling, sequence = sampling or Sampling(), KVSequence(7, tokens=tokens[:read])
    return StepRun(EngineRequest(tokens, sampling), sequence, list(tokens), 10, sampling.beginning, 0.0)


def logits(*likeliest: int) -> Logits:
    """Return a row in which these tokens are the likeliest, in this order."""
    row = np.zeros(len(TABLE.pieces), dtype=np.float32)
    row[list(likeliest)] = np.arange(len(likeliest), 0, -1)
    return row


def choose(run: StepRun, row: Logits) -> int | None:
    return run.choose(row, TABLE, CONTROLS, {END})


tokens = st.lists(st.integers(0, 3), min_size=1, max_size=20)


@given(tokens, st.data(), tokens)
def test_a_share_lists_its_tokens_in_place_and_has_an_output_where_the_next_one_is_chosen(
    prompt: list[int], data: st.DataObject, guessed: list[int]
) -> None:
    read = data.draw(st.integers(0, len(prompt) - 1))
    run = run_of(prompt, read)
    known = data.draw(st.integers(1, run.pending))
    guess = Guess("lookup", guessed) if known == run.pending else Guess()
    rows = list(Share(run, known, guess).rows())
    assert [row.token for row in rows] == [*prompt[read : read + known], *guess.tokens]
    assert [row.position for row in rows] == list(range(read, read + len(rows)))
    assert {row.sequence for row in rows} == {7}
    outputs = 1 + len(guess.tokens) if known == run.pending else 0
    assert [row.output for row in rows] == [False] * (len(rows) - outputs) + [True] * outputs


class Drawing:
    """A sampler that draws what it is told to."""

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


def test_what_a_sampler_draws_is_written_and_accepted_until_it_draws_nothing() -> None:
    run = run_of([0])
    run.sampler = sampler = Drawing(1, None)
    assert choose(run, logits(2)) == 1
    assert choose(run, logits(2)) is None
    assert (sampler.accepted, run.tokens, run.wrote) == ([1], [0, 1], 2)


@pytest.mark.parametrize(("drawn", "probability"), [(True, 0.25), (False, 1 / (np.e + 4))])
def test_probabilities_are_those_of_what_was_drawn_from_or_the_models_own(
    drawn: bool, probability: float
) -> None:
    run = run_of([0], sampling=Sampling(top=2, drawn=drawn, temperature=1.0))
    run.sampler = Drawing(1)
    choose(run, logits(2))
    assert run.fresh[0].probability == pytest.approx(probability, rel=1e-5)
    assert len(run.fresh[0].top) == 2
