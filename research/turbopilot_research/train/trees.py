"""Build a deterministic sequence of training trees that can be resumed at any step.

Samples of one cell share the text before their cursors. As in inference, the shared prefix is evaluated only
once: the samples form a tree of tokens, in which each token attends to its ancestors only. About thirty
sequences of a thousand tokens become one that is little longer.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.analysis.kernel_context import NONE
from turbopilot_research.train.samples import APART, branches_of, samples_of, typed_cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from jupyter_turbopilot.prompt.layout import Layout
    from turbopilot_research.train.contexts import Contexts
    from turbopilot_research.train.corpus import TrainingDocument
    from turbopilot_research.train.samples import Sample

MOST = 2048  # maximum tokens of one cell's tree
_ROOT = -1
_WORDS_FROM = 1500  # maximum documents to search for the tokens in use


@dataclass
class Course:
    """The cells of documents in random order, a few per step."""

    documents: Sequence[TrainingDocument]
    layout: Layout
    end: int  # the end token of answers
    cells: int = 1  # per step
    seed: int = 5
    contexts: Contexts | None = None

    def trees(self, start: int = 0) -> Iterator[Tree]:
        """Iterate over the trees of all steps, endlessly."""
        turns = [(document, cell) for document in self.documents for cell in typed_cells(document)]
        if not turns:
            return
        order: list[int] = []
        at = start * self.cells
        vain = 0
        while True:
            taken = []
            for place in range(at, at + self.cells):
                epoch, number = divmod(place, len(turns))
                if number == 0 or place == start * self.cells:
                    order = list(range(len(turns)))
                    random.Random(f"{self.seed}/{epoch}").shuffle(order)  # noqa: S311 - the same each time
                document, cell = turns[order[number]]
                rng = random.Random(f"{self.seed}/{place}")  # noqa: S311
                context = self.contexts.of(rng, document, cell) if self.contexts else NONE
                taken += branches_of(rng, document, cell, self.layout, self.end, context)
            at += self.cells
            tree = build_tree(taken, MOST * self.cells)
            vain = 0 if tree.answers else vain + self.cells
            if tree.answers:
                yield tree
            elif vain > len(turns):
                return  # no cell yields a sample

    def plain(self) -> Iterator[Sample]:
        """Iterate once over samples from all documents."""
        turns = [
            (document, cell)
            for document in self.documents
            for cell in typed_cells(document)
            for _ in range(1 + len(document.cells[cell].source) // APART)
        ]
        rng = random.Random(f"{self.seed}/plain")  # noqa: S311 - the same each time
        rng.shuffle(turns)
        for document, cell in turns:
            yield from samples_of(rng, document, cell, self.layout, self.end)

    def tokens_learnt(self) -> list[int]:
        """Return the tokens that occur in the documents."""
        seen = {self.end}
        step = max(1, len(self.documents) // _WORDS_FROM)
        for document in self.documents[::step]:
            seen.update(self.layout.vocabulary.tokenize(document.code))
        return [*seen]


@dataclass
class Tree:
    """Tokens with their parents, and the target tokens at some nodes."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    # Pairs of a node and its target token, within answers.
    answers: list[tuple[int, int]] = field(default_factory=list)
    texts: list[tuple[int, int]] = field(default_factory=list)  # the same for the text before the cursor
    samples: int = 0
    _known: dict[tuple[int, int], int] = field(default_factory=dict)

    def _grow(self, tokens: Iterable[int]) -> list[int]:
        """Add a path of tokens below the root; return its nodes."""
        at, path = _ROOT, []
        for token in tokens:
            place = (at, token)
            if place not in self._known:
                self._known[place] = len(self.tokens)
                self.tokens.append(token)
                self.parents.append(at)
                self.depths.append(self.depths[at] + 1 if at != _ROOT else 0)
            at = self._known[place]
            path.append(at)
        return path

    def more(self, sample: Sample) -> int:
        """Return the number of tokens a sample would add."""
        at = _ROOT
        whole = [*sample.prompt, *sample.answer[:-1]]
        for done, token in enumerate(whole):
            if (at, token) not in self._known:
                return len(whole) - done
            at = self._known[at, token]
        return 0

    def add(self, sample: Sample) -> None:
        before = len(self.tokens)
        path = self._grow([*sample.prompt, *sample.answer[:-1]])
        text = zip(path[: sample.text], sample.prompt[1 : sample.text], strict=False)
        self.texts += (pair for pair in text if pair[0] >= before)
        self.answers += zip(path[len(sample.prompt) - 1 :], sample.answer, strict=True)
        self.samples += 1

    def mask(self, more: int = 0) -> NDArray[np.bool_]:
        """Return the attention mask, with `more` padding tokens that attend only to themselves."""
        sees = np.eye(len(self.tokens) + more, dtype=np.bool_)
        for node, parent in enumerate(self.parents):
            if parent != _ROOT:
                sees[node] |= sees[parent]
        return sees


def build_tree(samples: Sequence[Sample], most: int) -> Tree:
    """Build a tree of at most `most` tokens; skip samples that do not fit."""
    tree = Tree()
    for sample in samples:
        if sample.prompt and sample.answer and len(tree.tokens) + tree.more(sample) <= most:
            tree.add(sample)
    return tree


def arrays(tree: Tree, step: int = 1) -> dict[str, Any]:
    """Return the tree as arrays, padded to a multiple of `step`."""
    nodes, targets = zip(*tree.answers, strict=True)
    more = -len(tree.tokens) % step
    return {
        "tokens": np.array([*tree.tokens, *[0] * more], np.int64),
        "positions": np.array([*tree.depths, *[0] * more], np.int64),
        "sees": tree.mask(more),
        "nodes": np.array([*nodes, *(node for node, _ in tree.texts)], np.int64),
        "targets": np.array([*targets, *(target for _, target in tree.texts)], np.int64),
        "answers": len(nodes),
    }
