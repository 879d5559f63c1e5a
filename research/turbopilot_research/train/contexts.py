"""Kernel context for training samples: in a part of them only, as for users."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.kernel_context import NONE
from turbopilot_research.train.likely_kernel import Objects

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from turbopilot_research.train.corpus import TrainingDocument

KERNEL = 0.75  # share of cells with kernel context, if there are objects
MOST_READ = 200  # documents whose tables are used in others


class Contexts:
    """The likely kernel contexts of the cells of training documents."""

    def __init__(self, documents: Sequence[TrainingDocument]) -> None:
        named = {document.name: document for document in documents}
        self._objects = cache(lambda name: Objects.of(named[name]))
        step = max(1, len(documents) // MOST_READ)
        self._tables = [
            table for name in [*named][::step] for table in self._objects(name).known_columns.items()
        ]

    def of(self, rng: random.Random, document: TrainingDocument, active: int) -> KernelContext:
        """Return a random context of a cell."""
        if document.language == "python" and rng.random() < KERNEL:
            return self._objects(document.name).context(rng, active, self._tables)
        return NONE
