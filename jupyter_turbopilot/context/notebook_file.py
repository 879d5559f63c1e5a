"""Notebook files: their text as types, and their paths as front ends name them. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NotebookCell:
    """A cell as the file holds it."""

    type: str  # code, markdown or raw
    source: str


@dataclass(frozen=True)
class Notebook:
    """A notebook's cells, and the language that its kernel runs."""

    name: str
    cells: tuple[NotebookCell, ...]
    language: str = "python"

    @property
    def sources(self) -> tuple[str, ...]:
        """The text of each cell."""
        return tuple(cell.source for cell in self.cells)

    @property
    def types(self) -> tuple[str, ...]:
        """The type of each cell."""
        return tuple(cell.type for cell in self.cells)

    @property
    def code(self) -> str:
        """All of its code."""
        return "\n\n".join(cell.source for cell in self.cells if cell.type == "code")


def parse_notebook(text: str, name: str) -> Notebook | None:
    """Return the notebook that a file's text holds; None where it holds none."""
    try:
        raw = json.loads(text)
        cells = [NotebookCell(str(cell["cell_type"]), "".join(cell["source"])) for cell in raw["cells"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Notebook(name, tuple(cells), _language(raw.get("metadata")))


def _language(metadata: Any) -> str:
    """Return a notebook's language; where its metadata do not say, it is Python."""
    for about, key in (("language_info", "name"), ("kernelspec", "language")):
        held = metadata.get(about) if isinstance(metadata, dict) else None
        if isinstance(held, dict) and held.get(key):
            return str(held[key]).lower()
    return "python"


def names_of(path: str) -> tuple[str, str]:
    """Return what a path may be in the server's folder: as it is, or without a drive.

    JupyterLab puts the name of a drive before paths.
    """
    return path.strip("/"), path.partition(":")[2].strip("/") or path.strip("/")
