from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.protocol.errors import TurbopilotError
from turbopilot_research.train.rows import LEAST, Marks, Rows, pack_samples, write_rows
from turbopilot_research.train.samples import Sample

END, PREFIX, SUFFIX, MIDDLE = range(99, 103)
MARKS = Marks(MIDDLE, SUFFIX, (PREFIX, SUFFIX, MIDDLE))
LENGTH = 128
texts = st.lists(st.integers(0, 98), max_size=150)


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    prompt = (PREFIX, *draw(texts), SUFFIX, *draw(texts)[:20], MIDDLE)
    return Sample(prompt, (*draw(texts)[:20], END))


@given(context=texts, suffix=texts, near=texts, answer=texts)
def test_packed_truncates_samples_far_from_the_cursor(
    context: list[int], suffix: list[int], near: list[int], answer: list[int]
) -> None:
    suffix, answer = suffix[:20], [*answer[:20], END]
    sample = Sample((PREFIX, *context, SUFFIX, *suffix, MIDDLE, *near), (*answer,))
    before = [*context, *near]
    excess = max(0, len(sample.prompt) + len(answer) - LENGTH - 1)
    rows = [*pack_samples([sample], LENGTH, MARKS)]
    if excess and len(before) - excess < LEAST:
        assert rows == []
    else:
        whole = [PREFIX, *context[excess:], SUFFIX, *suffix, MIDDLE]
        whole += [*near[max(0, excess - len(context)) :], *answer]
        assert rows[0][: len(whole)] == whole
        assert set(rows[0][len(whole) :]) <= {PREFIX}


@given(many=st.lists(samples(), max_size=12))
def test_packed_keeps_every_answer_in_rows_of_equal_length(many: list[Sample]) -> None:
    rows = np.array([*pack_samples(many, LENGTH, MARKS)]).reshape(-1, LENGTH + 1)
    answers = rows[:, 1:][MARKS.answered(rows)].tolist()
    fitting = [sample for sample in many if [*pack_samples([sample], LENGTH, MARKS)]]
    assert sorted(answers) == sorted(token for sample in fitting for token in sample.answer)
    assert len(rows) <= len(fitting)


@given(many=st.lists(samples(), min_size=1, max_size=12))
def test_learnt_excludes_marks_and_padding(many: list[Sample]) -> None:
    rows = np.array([*pack_samples(many, LENGTH, MARKS)]).reshape(-1, LENGTH + 1)
    targets = rows[:, 1:]
    assert set(targets[~MARKS.learnt(rows)].tolist()) <= set(MARKS.all)
    assert not set(targets[MARKS.learnt(rows)].tolist()) & set(MARKS.all)


@given(count=st.integers(1, 40), tokens=st.integers(1, 1000), step=st.integers(0, 50))
def test_batch_uses_each_row_once_per_epoch(count: int, tokens: int, step: int) -> None:
    rows = Rows(np.arange(count).repeat(9).reshape(count, 9))
    size = max(1, tokens // 8)
    assert rows.batch(step, tokens)[:, 0].tolist() == rows.batch(step, tokens)[:, 0].tolist()
    taken = [int(row) for number in range(step + 1) for row in rows.batch(number, tokens)[:, 0]]
    assert len(taken) == size * (step + 1)
    for first in range(0, len(taken) - count + 1, count):
        assert sorted(taken[first : first + count]) == list(range(count))


def test_write_rows_refuses_code_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(TurbopilotError, match="longer code"):
        write_rows(tmp_path / "a.rows", [], 128)
