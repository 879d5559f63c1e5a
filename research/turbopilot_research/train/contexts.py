"""Kernel context and cells of other notebooks for training samples.

Both are present in a part of the requests only, as for users.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.index.cells import ChosenCells
from jupyter_turbopilot.index.reader import NotebookIndex
from jupyter_turbopilot.index.store import SCHEMA, IndexStore
from jupyter_turbopilot.protocol.request import Cell, Completion
from turbopilot_research.evaluate.index_shelf import Other, is_near_duplicate, of_notebook
from turbopilot_research.train.likely_kernel import Objects
from turbopilot_research.train.samples import NOTEBOOK_ONLY, CellContext, cells_above

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from jupyter_turbopilot.protocol.request import Document
    from turbopilot_research.train.corpus import TrainingDocument

KERNEL, INDEX = 0.75, 0.4  # share of cells with kernel context, if there are objects, and with the index
MOST_READ = 200  # documents whose tables are used in others


class Contexts:
    """The contexts of the cells of training documents, with a temporary index of all of them."""

    def __init__(self, documents: Sequence[TrainingDocument]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="turbopilot-")
        self._documents = {_path(document): document for document in documents}
        self._file = cache(self._read)
        path = Path(self._folder.name, "index.db")
        SCHEMA.prepare(path)
        with closing(IndexStore(path)) as store:
            for name in self._documents:
                store.put(name, "", 0.0, self._file(name).page)
        self._index = NotebookIndex(path, frozenset(self._documents).intersection)
        self._objects = cache(lambda name: Objects.of(self._documents[name]))
        step = max(1, len(documents) // MOST_READ)
        self._tables = [
            table
            for name in [*self._documents][::step]
            for table in self._objects(name).known_columns.items()
        ]

    def of(self, rng: random.Random, document: TrainingDocument, active: int) -> CellContext:
        """Return a random context of a cell."""
        kernel, indexed = NOTEBOOK_ONLY.kernel, NOTEBOOK_ONLY.indexed
        if document.language == "python" and rng.random() < KERNEL:
            kernel = self._objects(_path(document)).context(rng, active, self._tables)
        if rng.random() < INDEX:
            indexed = self._indexed_cells(document, active)
        return CellContext(kernel, indexed)

    def _indexed_cells(self, document: TrainingDocument, active: int) -> Sequence[Document]:
        """Return the cells that the index would add to a prompt, without those of near-duplicates."""
        above = cells_above(document, active)
        request = Completion(
            cells=[*above, Cell()],
            active=len(above),
            offset=0,
            path=_path(document),
            language=document.language,
        )
        found = ChosenCells().choose(self._index, request).documents
        own = self._file(request.path)
        return [other for other in found if not is_near_duplicate(self._file(other.path), own)]

    def close(self) -> None:
        """Delete the index."""
        self._index.close()
        self._folder.cleanup()

    def _read(self, name: str) -> Other:
        return of_notebook(replace(self._documents[name], name=name), time.time())


def _path(document: TrainingDocument) -> str:
    """Return a path that the index reads as a notebook."""
    return f"{document.name}.ipynb"
