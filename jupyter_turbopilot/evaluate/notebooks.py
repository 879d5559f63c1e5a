"""Reads the notebooks to be typed: one, a folder of them, or a prepared set."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.context.notebook_file import Notebook, NotebookCell, parse_notebook
from jupyter_turbopilot.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHORTEST_CELL = 40  # characters
_WANTED = (
    "Name a notebook (.ipynb), a folder of notebooks, or a prepared set: a gzipped JSON list of notebooks."
)


@dataclass(frozen=True)
class TypedNotebook(Notebook):
    """A notebook, and the numbers of the cells that are typed."""

    typed: tuple[int, ...] = ()


def read(source: Path) -> list[TypedNotebook]:
    """Read a notebook, a folder of notebooks or a prepared set; refuse one without code to type."""
    if source.is_dir():
        if not (found := [*_folder(source)]):
            raise BadRequestError(
                f"There are no notebooks with code in {source}. A notebook counts if it has a code cell "
                f"of more than {SHORTEST_CELL} characters."
            )
        return found
    if not source.is_file():
        what = "is neither a file nor a folder" if source.exists() else "does not exist"
        raise BadRequestError(f"{source} {what}. {_WANTED}")
    return [_single(source)] if source.suffix == ".ipynb" else _prepared(source)


def _single(source: Path) -> TypedNotebook:
    try:
        notebook = parse_notebook(source.read_text("utf-8"), source.name)
    except OSError as error:
        raise BadRequestError(f"{source} cannot be read: {error.strerror}. {_WANTED}") from None
    except ValueError:
        notebook = None
    if not notebook:
        raise BadRequestError(f"{source} is not a notebook: it is damaged, or another file. {_WANTED}")
    if not (typed := _long_enough(notebook)):
        raise BadRequestError(f"{source} has no code cell of more than {SHORTEST_CELL} characters to type.")
    return TypedNotebook(notebook.name, notebook.cells, notebook.language, typed)


def _prepared(source: Path) -> list[TypedNotebook]:
    """Read a list of notebooks as packed JSON: name, cells with type and source, numbers of those to type."""
    try:
        raw: list[dict[str, Any]] = json.loads(gzip.decompress(source.read_bytes()))
        found = [
            TypedNotebook(
                str(notebook["name"]),
                tuple(NotebookCell(str(cell["type"]), str(cell["source"])) for cell in notebook["cells"]),
                typed=tuple(notebook["typed"]),
            )
            for notebook in raw
        ]
    except OSError as error:
        if not isinstance(error, gzip.BadGzipFile):
            raise BadRequestError(f"{source} cannot be read: {error.strerror}. {_WANTED}") from None
        found = []
    except (ValueError, EOFError, KeyError, TypeError, RecursionError, zlib.error):
        found = []
    if not found or not all(
        type(at) is int and 0 <= at < len(one.cells) for one in found for at in one.typed
    ):
        raise BadRequestError(f"{source} is neither a notebook nor a prepared set. {_WANTED}")
    return found


def _folder(source: Path) -> Iterator[TypedNotebook]:
    """Read the notebooks that hold something to type; what cannot be read is passed over."""
    for path in sorted(source.rglob("*.ipynb")):
        if not path.is_file():  # reading a pipe or a device would not end
            continue
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
