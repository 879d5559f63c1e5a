"""What is learnt from, and what is kept apart for the test."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.evaluate.notebooks import TypedNotebook
from jupyter_turbopilot.training import corpus
from jupyter_turbopilot.training.samples import typed_cells

if TYPE_CHECKING:
    from jupyter_turbopilot.training.corpus import Document
    from jupyter_turbopilot.training.options import TrainingOptions

LEAST_CELLS = 20


@dataclass(frozen=True)
class Dataset:
    """Documents to learn from and documents to test with; `summary` says what was left out of both."""

    learnt: list[Document]
    held: list[Document]
    summary: str = ""

    @property
    def cells(self) -> int:
        """How many cells there are to learn from."""
        return sum(len(typed_cells(one)) for one in self.learnt)

    def check(self) -> None:
        """Refuse what is too little to learn from."""
        if self.cells < LEAST_CELLS:
            raise TurbopilotError(
                f"There are {self.cells} cells to learn from, and {LEAST_CELLS} are the least. "
                "Name more notebooks."
            )

    def languages(self) -> list[str]:
        """Return the languages there is enough of."""
        cells: Counter[str] = Counter()
        for one in self.learnt:
            cells[one.language] += len(typed_cells(one))
        return sorted(language for language, count in cells.items() if count > 2 * LEAST_CELLS)

    def only(self, language: str) -> Dataset:
        """Return what is in one language."""
        return Dataset(
            [one for one in self.learnt if one.language == language],
            [one for one in self.held if one.language == language],
        )

    def notebooks(self) -> list[TypedNotebook]:
        """Return the documents to test with as notebooks to type."""
        return [
            TypedNotebook(one.name, one.cells, one.language, tuple(typed_cells(one))) for one in self.held
        ]


def gather(options: TrainingOptions) -> Dataset:
    """Read and clean what is there, and keep a share of it apart."""
    wanted = set(options.language)
    documents = (one for one in corpus.read(options.paths) if not wanted or one.language in wanted)
    gathered = corpus.clean(documents, ascii_only=options.scratch)
    learnt, held = corpus.split(gathered.documents, options.held_out)
    return Dataset(learnt, held, gathered.summary())
