"""What is learnt from in which order: the same for the same seed, from any step on."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from jupyter_turbopilot.training.samples import APART, branches_of, samples_of, typed_cells
from jupyter_turbopilot.training.tree import grow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.prompt.layout import Layout
    from jupyter_turbopilot.training.corpus import TrainingDocument
    from jupyter_turbopilot.training.tree import Sample, Tree

MOST = 2048  # tokens of one cell's tree
_WORDS_FROM = 1500  # documents that are looked at for the words that are in use


@dataclass
class Course:
    """Cells of documents, a few of them a step."""

    documents: Sequence[TrainingDocument]
    layout: Layout
    end: int  # the token that ends an answer
    cells: int = 1  # for each step
    seed: int = 5

    def trees(self, start: int = 0) -> Iterator[Tree]:
        """Yield a tree for each step, over and over."""
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
                taken += branches_of(rng, document, cell, self.layout, self.end)
            at += self.cells
            tree = grow(taken, MOST * self.cells)
            vain = 0 if tree.answers else vain + self.cells
            if tree.answers:
                yield tree
            elif vain > len(turns):
                return  # nothing comes of any of them

    def plain(self) -> Iterator[Sample]:
        """Yield samples from all over the documents, once."""
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

    def some(self, count: int) -> list[Tree]:
        """Return the first trees."""
        return list(islice(self.trees(), count))

    def words(self) -> list[int]:
        """Return the tokens that stand in the documents."""
        seen = {self.end}
        step = max(1, len(self.documents) // _WORDS_FROM)
        for document in self.documents[::step]:
            seen.update(self.layout.vocabulary.tokenize(document.code))
        return [*seen]
