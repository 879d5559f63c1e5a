from __future__ import annotations

from itertools import chain, pairwise

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.stepping.moved_tokens import (
    REEVALUATED,
    WORTH_MOVING,
    Part,
    edited_parts,
    suffix_part,
)
from jupyter_turbopilot.util.bounds import common_prefix_length

pieces = st.lists(st.sampled_from([[7] * 50, [*range(40)], [*range(20, 90)], [1, 2], [3]]), max_size=8)


@given(pieces, pieces)
def test_edited_parts_are_equal_and_in_order(before: list[list[int]], after: list[list[int]]) -> None:
    tokens, prompt = [*chain(*before)], [*chain(*after)]
    kept = common_prefix_length(tokens, prompt)
    parts = edited_parts(tokens, prompt, kept)
    assert all(
        tokens[start : start + size] == prompt[at : at + size]
        and size >= WORTH_MOVING
        and min(start, at) > kept
        for start, at, size, _ in parts
    )
    assert all(
        one.start + one.size + REEVALUATED <= other.start
        and one.at + one.size + REEVALUATED <= other.at
        and one.changes <= other.changes
        for one, other in pairwise(parts)
    )


def test_edited_parts_skips_the_tokens_to_evaluate_again() -> None:
    cells = [*range(100, 300)]
    (part,) = edited_parts([1, 2, 3, *cells], [1, 9, 9, 9, 9, *cells], 1)
    assert part == Part(3 + REEVALUATED, 5 + REEVALUATED, 200 - REEVALUATED, 4)


def test_edited_parts_follow_several_edits() -> None:
    one, other, last = [*range(100, 200)], [*range(200, 300)], [*range(300, 400)]
    parts = edited_parts([1, *one, 2, *other, 3, *last], [4, 5, *one, *other, 3, 6, *last], 0)
    assert [part.changes for part in parts] == [2, 3, 4]


def test_edited_parts_finds_the_text_after_a_repeated_line() -> None:
    line = [*range(30)]
    cells = [*line, *range(100, 300)]
    kept = len(line)
    (part,) = edited_parts([*cells, *line, 9], [*line, *line, *range(100, 300)], kept)
    assert part.at + part.size == 2 * len(line) + 200


def test_suffix_part_needs_the_whole_suffix() -> None:
    suffix = [*range(50)]
    tokens = [100, 101, *suffix, 102]
    prompt = [100, 101, 103, *suffix]
    assert suffix_part(tokens, prompt, 2, (3, 53)) == [Part(2, 3, 50, 1)]
    assert suffix_part(tokens, [*prompt, 7], 2, (3, 54)) == []
    assert suffix_part(tokens, prompt, 3, (3, 53)) == []
