from __future__ import annotations

from itertools import islice

from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.training.corpus import TrainingDocument
from jupyter_turbopilot.training.course import Course

from .conftest import END


def test_what_was_stopped_goes_on_with_what_would_have_come(
    layout: Layout, documents: list[TrainingDocument]
) -> None:
    course = Course(documents, layout, END)
    whole = list(islice(course.trees(), 30))  # more than twice through
    assert [tree.tokens for tree in islice(course.trees(17), 13)] == [tree.tokens for tree in whole[17:]]


def test_each_cell_comes_once_before_one_comes_again(
    layout: Layout, documents: list[TrainingDocument]
) -> None:
    trees = list(islice(Course(documents, layout, END).trees(), 24))
    first = {bytes(t for t in tree.tokens if t < 256)[:200] for tree in trees[:12]}
    assert len(first) == 12
    again = [tree.answers for tree in trees[12:]]
    assert all(tree.answers not in again for tree in trees[:12])  # and is cut elsewhere


def test_plain_samples_come_from_all_over_once_and_the_same_each_time(
    layout: Layout, documents: list[TrainingDocument]
) -> None:
    course = Course(documents, layout, END)
    samples = list(course.plain())
    assert samples == list(course.plain())
    assert 8 <= len(samples) <= 12  # a cell each, but where nothing is left to be written
    assert list(Course([], layout, END).plain()) == []
