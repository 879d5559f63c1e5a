"""Training and held-out documents."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError
from turbopilot_research.evaluate.notebooks import TypedNotebook
from turbopilot_research.train import corpus
from turbopilot_research.train.samples import typed_cells

if TYPE_CHECKING:
    from collections.abc import Iterator

    from turbopilot_research.train.corpus import TrainingDocument
    from turbopilot_research.train.options import TrainingOptions

MIN_CELLS = 20


@dataclass(frozen=True)
class Dataset:
    """The training and held-out documents; `summary` describes all that were collected."""

    training: list[TrainingDocument]
    held_out: list[TrainingDocument]
    summary: str = ""

    @property
    def cells(self) -> int:
        """The number of training cells."""
        return sum(map(_cells, self.training))

    def check(self) -> None:
        """Raise an error if there are too few training cells."""
        if self.cells < MIN_CELLS:
            raise TurbopilotError(
                f"There are only {self.cells} cells to train on; at least {MIN_CELLS} are needed. "
                "Add more notebooks."
            )

    def languages(self) -> list[str]:
        """Return the languages with enough cells."""
        cells: Counter[str] = Counter()
        for document in self.training:
            cells[document.language] += _cells(document)
        return sorted(language for language, count in cells.items() if count > 2 * MIN_CELLS)

    def only(self, language: str) -> Dataset:
        """Return the documents in one language."""
        return Dataset(
            [document for document in self.training if document.language == language],
            [document for document in self.held_out if document.language == language],
        )

    def notebooks(self) -> list[TypedNotebook]:
        """Return the held-out documents as notebooks to replay."""
        return [
            TypedNotebook(document.name, document.cells, document.language, tuple(typed_cells(document)))
            for document in map(corpus.split_into_parts, self.held_out)
        ]


def _cells(document: TrainingDocument) -> int:
    """Count the cells of a document; a file counts as several."""
    return len(typed_cells(corpus.split_into_parts(document)))


def gather(options: TrainingOptions) -> Dataset:
    """Read, filter and split the documents."""
    wanted, found = set(options.language), set[str]()

    def documents() -> Iterator[TrainingDocument]:
        for document in corpus.read(options.paths):
            found.add(document.language)
            if not wanted or document.language in wanted:
                yield document

    gathered = corpus.clean(documents(), ascii_only=options.scratch)
    if absent := wanted - found:
        raise BadRequestError(
            f"--language {' '.join(sorted(absent))}: no code in this language was found. Languages found: "
            f"{', '.join(sorted(found)) or 'none'}.",
            field="language",
        )
    # Trees need cells, so files are split, except for training in plain rows.
    kept = gathered.documents if options.whole else [*map(corpus.split_into_parts, gathered.documents)]
    training, held_out = corpus.split(kept, options.held_out)
    return Dataset(training, held_out, gathered.summary())
