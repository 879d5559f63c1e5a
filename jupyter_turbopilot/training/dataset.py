"""What is learnt from, and what is held out for the test."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.evaluate.notebooks import TypedNotebook
from jupyter_turbopilot.training import corpus
from jupyter_turbopilot.training.samples import typed_cells

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.training.corpus import TrainingDocument
    from jupyter_turbopilot.training.options import TrainingOptions

LEAST_CELLS = 20


@dataclass(frozen=True)
class Dataset:
    """Documents to learn from and documents to test with; `summary` says what was left out of both."""

    training: list[TrainingDocument]
    held_out: list[TrainingDocument]
    summary: str = ""

    @property
    def cells(self) -> int:
        """How many cells there are to learn from."""
        return sum(map(_cells, self.training))

    def check(self) -> None:
        """Refuse what is too little to learn from."""
        if self.cells < LEAST_CELLS:
            raise TurbopilotError(
                f"There are {self.cells} cells to learn from, but at least {LEAST_CELLS} are needed. "
                "Add more notebooks."
            )

    def languages(self) -> list[str]:
        """Return the languages there is enough of."""
        cells: Counter[str] = Counter()
        for document in self.training:
            cells[document.language] += _cells(document)
        return sorted(language for language, count in cells.items() if count > 2 * LEAST_CELLS)

    def only(self, language: str) -> Dataset:
        """Return what is in one language."""
        return Dataset(
            [document for document in self.training if document.language == language],
            [document for document in self.held_out if document.language == language],
        )

    def notebooks(self) -> list[TypedNotebook]:
        """Return the documents to test with as notebooks to type."""
        return [
            TypedNotebook(document.name, document.cells, document.language, tuple(typed_cells(document)))
            for document in map(corpus.in_parts, self.held_out)
        ]


def _cells(document: TrainingDocument) -> int:
    """Count cells; a file that is learnt from whole has as many as it could be typed in."""
    return len(typed_cells(corpus.in_parts(document)))


def gather(options: TrainingOptions) -> Dataset:
    """Read and clean what is there, and keep a share of it apart."""
    wanted, found = set(options.language), set[str]()

    def documents() -> Iterator[TrainingDocument]:
        for document in corpus.read(options.paths):
            found.add(document.language)
            if not wanted or document.language in wanted:
                yield document

    gathered = corpus.clean(documents(), ascii_only=options.scratch)
    if absent := wanted - found:
        raise BadRequestError(
            f"--language {' '.join(sorted(absent))}: there is no such code. Languages found: "
            f"{', '.join(sorted(found)) or 'none'}.",
            field="language",
        )
    # A tree's branches start within a cell: a file is learnt from in parts, unless in plain rows.
    kept = gathered.documents if options.whole else [*map(corpus.in_parts, gathered.documents)]
    training, held_out = corpus.split(kept, options.held_out)
    return Dataset(training, held_out, gathered.summary())
