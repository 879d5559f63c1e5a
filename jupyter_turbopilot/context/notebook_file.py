"""Notebook files: parsing, and paths as front ends name them. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NotebookCell:
    """A cell as stored in the file."""

    type: str  # code, markdown or raw
    source: str


@dataclass(frozen=True)
class Notebook:
    """A notebook's cells and the language of its kernel."""

    name: str
    cells: tuple[NotebookCell, ...]
    language: str = "python"

    @property
    def sources(self) -> tuple[str, ...]:
        """Source text of each cell."""
        return tuple(cell.source for cell in self.cells)

    @property
    def types(self) -> tuple[str, ...]:
        """Type of each cell."""
        return tuple(cell.type for cell in self.cells)

    @property
    def code(self) -> str:
        """Text of all code cells."""
        return "\n\n".join(cell.source for cell in self.cells if cell.type == "code")


def parse_notebook(text: str, name: str) -> Notebook | None:
    """Parse the text of a notebook file; None if it is not a notebook."""
    try:
        raw = json.loads(text)
        cells = [NotebookCell(str(cell["cell_type"]), "".join(cell["source"])) for cell in raw["cells"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return Notebook(name, tuple(cells), _language(raw.get("metadata")))


def _language(metadata: Any) -> str:
    """Return a notebook's language; Python if the metadata have none."""
    for about, key in (("language_info", "name"), ("kernelspec", "language")):
        held = metadata.get(about) if isinstance(metadata, dict) else None
        if isinstance(held, dict) and held.get(key):
            return str(held[key]).lower()
    return "python"


def names_of(path: str) -> tuple[str, str]:
    """Return the possible forms of a path in the server's folder: as it is, and without a drive name.

    JupyterLab prefixes paths with the name of a drive.
    """
    return path.strip("/"), path.partition(":")[2].strip("/") or path.strip("/")
