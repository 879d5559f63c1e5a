"""Reads the notebooks to be typed: a folder of them, or a prepared set."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.context.notebook_file import Notebook, NotebookCell, parse_notebook
from jupyter_turbopilot.errors import TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHORTEST_CELL = 40  # characters


@dataclass(frozen=True)
class TypedNotebook(Notebook):
    """A notebook, and the numbers of the cells that are typed."""

    typed: tuple[int, ...] = ()


def read(source: Path) -> list[TypedNotebook]:
    """Read a prepared set, or a folder of notebooks."""
    return _prepared(source) if source.is_file() else [*_folder(source)]


def _prepared(source: Path) -> list[TypedNotebook]:
    """Read a list of notebooks as packed JSON: name, cells with type and source, numbers of those to type."""
    try:
        raw: list[dict[str, Any]] = json.loads(gzip.decompress(source.read_bytes()))
        return [
            TypedNotebook(
                notebook["name"],
                tuple(NotebookCell(cell["type"], cell["source"]) for cell in notebook["cells"]),
                typed=tuple(notebook["typed"]),
            )
            for notebook in raw
        ]
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        raise TurbopilotError(
            f"{source.name} is not a prepared set ({type(error).__name__}). Name a folder of notebooks, or a "
            "gzipped JSON list of notebooks."
        ) from None


def _folder(source: Path) -> Iterator[TypedNotebook]:
    """Read the notebooks that hold something to type; what cannot be read is passed over."""
    for path in sorted(source.rglob("*.ipynb")):
        try:
            notebook = parse_notebook(path.read_text("utf-8"), path.relative_to(source).as_posix())
        except (OSError, ValueError):
            continue
        if notebook and (typed := _long_enough(notebook)):
            yield TypedNotebook(notebook.name, notebook.cells, notebook.language, typed)


def _long_enough(notebook: Notebook) -> tuple[int, ...]:
    return tuple(
        number
        for number, cell in enumerate(notebook.cells)
        if cell.type == "code" and len(cell.source) > SHORTEST_CELL
    )
