from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.training.corpus import TrainingDocument
from jupyter_turbopilot.training.course import Course, Tree, arrays, grow
from jupyter_turbopilot.training.samples import Sample

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


few = st.integers(0, 3)
samples = st.lists(
    st.builds(
        Sample,
        st.lists(few, min_size=1, max_size=8).map(tuple),
        st.lists(few, min_size=1, max_size=4).map(tuple),
    ),
    min_size=1,
    max_size=8,
)


def way_down(tree: Tree, node: int) -> list[int]:
    found: list[int] = []
    while node != -1:
        found.append(node)
        node = tree.parents[node]
    return found[::-1]


def test_what_samples_share_is_there_once() -> None:
    tree = grow([Sample((1, 2, 3, 8), (9,)), Sample((1, 2, 8), (7, 9))], 100)
    assert tree.tokens == [1, 2, 3, 8, 8, 7]
    assert tree.answers == [(3, 9), (4, 7), (5, 9)]
    assert tree.samples == 2


@given(samples)
def test_each_answer_is_asked_for_behind_what_its_sample_reads(given_samples: list[Sample]) -> None:
    tree = grow(given_samples, 1000)
    answers = iter(tree.answers)
    for sample in given_samples:
        for count, wanted in enumerate(sample.answer):
            node, target = next(answers)
            assert target == wanted
            tokens = [tree.tokens[at] for at in way_down(tree, node)]
            assert tokens == [*sample.prompt, *sample.answer[:count]]
    assert next(answers, None) is None


@given(samples)
def test_a_token_sees_those_it_descends_from_and_no_others(given_samples: list[Sample]) -> None:
    tree = grow(given_samples, 1000)
    made = arrays(tree)
    for node in range(len(tree.tokens)):
        way = way_down(tree, node)
        assert [at for at, seen in enumerate(made["sees"][node]) if seen] == sorted(way)
        assert made["places"][node] == len(way) - 1


@given(samples, st.integers(1, 12))
def test_what_does_not_fit_is_left_out_whole(given_samples: list[Sample], most: int) -> None:
    tree = grow(given_samples, most)
    assert len(tree.tokens) <= most
    assert len(tree.answers) >= tree.samples


@given(samples, st.integers(1, 16))
def test_what_fills_it_up_sees_itself_and_is_seen_by_none(given_samples: list[Sample], step: int) -> None:
    tree = grow(given_samples, 1000)
    plain, made = arrays(tree), arrays(tree, step)
    size = len(tree.tokens)
    assert len(made["tokens"]) % step == 0
    assert len(made["tokens"]) - size < step
    assert (made["sees"][:size, :size] == plain["sees"]).all()
    assert not made["sees"][:size, size:].any()
    assert (made["sees"][size:].sum(axis=1) == 1).all()


def test_the_text_before_the_cursor_can_be_learnt_from_as_well() -> None:
    tree = grow([Sample((1, 2, 3, 8, 9), (4,), text=3), Sample((1, 2, 8, 9), (5,))], 100)
    assert [(tree.tokens[node], target) for node, target in tree.texts] == [(1, 2), (2, 3)]
    made = arrays(tree)
    assert made["answers"] == 2
    assert len(made["nodes"]) == len(made["targets"]) == 4
