from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.prompt.layout import Layout
from turbopilot_research.train.corpus import TrainingDocument
from turbopilot_research.train.samples import Sample
from turbopilot_research.train.trees import Course, Tree, arrays, build_tree

from .conftest import END


def test_trees_use_each_cell_once_per_epoch(layout: Layout, documents: list[TrainingDocument]) -> None:
    trees = list(islice(Course(documents, layout, END).trees(), 24))
    first = {bytes(t for t in tree.tokens if t < 256)[:200] for tree in trees[:12]}
    assert len(first) == 12
    again = [tree.answers for tree in trees[12:]]
    assert all(tree.answers not in again for tree in trees[:12])  # with other cursor positions


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


@given(samples)
def test_tree_places_each_answer_after_its_prompt(given_samples: list[Sample]) -> None:
    tree = build_tree(given_samples, 1000)
    answers = iter(tree.answers)
    for sample in given_samples:
        for count, wanted in enumerate(sample.answer):
            node, target = next(answers)
            assert target == wanted
            tokens = [tree.tokens[at] for at in way_down(tree, node)]
            assert tokens == [*sample.prompt, *sample.answer[:count]]
    assert next(answers, None) is None


@given(samples)
def test_mask_allows_only_ancestors(given_samples: list[Sample]) -> None:
    tree = build_tree(given_samples, 1000)
    made = arrays(tree)
    for node in range(len(tree.tokens)):
        way = way_down(tree, node)
        assert [at for at, seen in enumerate(made["sees"][node]) if seen] == sorted(way)
        assert made["positions"][node] == len(way) - 1


@given(samples, st.integers(1, 12))
def test_grow_skips_samples_that_do_not_fit(given_samples: list[Sample], most: int) -> None:
    tree = build_tree(given_samples, most)
    assert len(tree.tokens) <= most
    assert len(tree.answers) >= tree.samples


@given(samples, st.integers(1, 16))
def test_mask_isolates_padding(given_samples: list[Sample], step: int) -> None:
    tree = build_tree(given_samples, 1000)
    plain, made = arrays(tree), arrays(tree, step)
    size = len(tree.tokens)
    assert len(made["tokens"]) % step == 0
    assert len(made["tokens"]) - size < step
    assert (made["sees"][:size, :size] == plain["sees"]).all()
    assert not made["sees"][:size, size:].any()
    assert (made["sees"][size:].sum(axis=1) == 1).all()
