"""The notebooks to replay: one, a folder, a prepared set, or Python's standard library."""

from __future__ import annotations

import ast
import gzip
import json
import random
import zlib
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.util.files import describe_size
from jupyter_turbopilot.util.notebook_file import Notebook, NotebookCell, parse_notebook
from jupyter_turbopilot.util.syntax_tree import parse
from turbopilot_research.evaluate.traces import LONGEST_CELL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHORTEST_CELL = 40  # characters
MAX_EXPANDED = 2**28  # bytes
_MODULES = (
    "textwrap", "statistics", "calendar", "csv", "shutil", "colorsys", "fractions", "bisect", "heapq",
    "string", "random", "fnmatch", "glob", "zipfile", "tempfile", "html", "cmd", "sched", "queue", "shelve",
    "difflib", "pprint", "copy", "dataclasses", "functools", "getpass", "gettext", "mailbox", "numbers",
    "operator", "pathlib", "tokenize",
)  # fmt: skip
_WANTED = (
    "Pass a notebook (.ipynb), a folder of notebooks, or a prepared set: a gzipped JSON list of notebooks."
)


@dataclass(frozen=True)
class TypedNotebook(Notebook):
    """A notebook, and the indices of the cells to type."""

    typed: tuple[int, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(cell.source for cell in self.cells)

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(cell.type for cell in self.cells)


def read(source: Path) -> list[TypedNotebook]:
    """Read a notebook, a folder of notebooks or a prepared set; refuse a source without code to type."""
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
        notebook = _parsed(source, source.name)
    except OSError as error:
        raise BadRequestError(f"{source} cannot be read: {error.strerror}. {_WANTED}") from None
    except ValueError:
        notebook = None
    if not notebook:
        raise BadRequestError(f"{source} is not a valid notebook. {_WANTED}")
    if not notebook.typed:
        raise BadRequestError(f"{source} has no code cell of more than {SHORTEST_CELL} characters.")
    return notebook


def _parsed(path: Path, name: str) -> TypedNotebook | None:
    notebook = parse_notebook(path.read_text("utf-8"), name)
    if not notebook:
        return None
    typed = tuple(
        number
        for number, cell in enumerate(notebook.cells)
        if cell.type == "code" and len(cell.source) > SHORTEST_CELL
    )
    return TypedNotebook(notebook.name, notebook.cells, notebook.language, typed)


def expanded(source: Path) -> bytes:
    """Return the content of a gzip file; refuse a large one before it is expanded."""
    with gzip.open(source) as file:
        content = file.read(MAX_EXPANDED + 1)
    if len(content) > MAX_EXPANDED:
        raise BadRequestError(f"A file with more than {describe_size(MAX_EXPANDED)} of text is too large.")
    return content


def _prepared(source: Path) -> list[TypedNotebook]:
    """Read a prepared set: gzipped JSON with name, cells (type, source) and indices of the cells to type."""
    try:
        raw: list[dict[str, Any]] = json.loads(expanded(source))
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
    """Iterate over the notebooks of a folder with code to type; skip unreadable ones."""
    for path in sorted(source.rglob("*.ipynb")):
        if not path.is_file():  # reading a pipe or a device would block
            continue
        try:
            notebook = _parsed(path, path.relative_to(source).as_posix())
        except (OSError, ValueError):
            continue
        if notebook and notebook.typed:
            yield notebook


def sample(notebooks: Sequence[TypedNotebook], count: int, seed: int = 7) -> list[TypedNotebook]:
    """Draw notebooks, and one cell to type in each; refuse fewer notebooks than `count`."""
    if len(notebooks) < count:
        raise BadRequestError(f"--sample {count} needs {count} notebooks, but there are {len(notebooks)}.")
    rng = random.Random(seed)  # noqa: S311 - a reproducible choice
    drawn = sorted(rng.sample(range(len(notebooks)), count))
    return [replace(notebooks[at], typed=(rng.choice(notebooks[at].typed),)) for at in drawn]


def standard_library() -> list[TypedNotebook]:
    """Return Python's standard library as notebooks, for users without notebooks.

    Each available module becomes a notebook with its imports, then one function per cell.
    """
    return [notebook for name in _MODULES if (notebook := _of_module(name))]


def _of_module(name: str) -> TypedNotebook | None:
    found = find_spec(name)
    try:
        text = Path(found.origin or "").read_text("utf-8") if found else ""
        tree = parse(text, bounded=False)
    except (OSError, SyntaxError, ValueError):
        return None
    imports = [part for part in tree.body if isinstance(part, ast.Import | ast.ImportFrom)]
    functions = [part for part in ast.walk(tree) if isinstance(part, ast.FunctionDef)]
    for function in functions:
        if ast.get_docstring(function) and len(function.body) > 1:
            del function.body[0]  # uncommon in notebooks
    sources = ["\n".join(map(ast.unparse, imports)), *map(ast.unparse, functions)]
    cells = [NotebookCell("code", source) for source in sources if source]
    typed = tuple(n for n, cell in enumerate(cells) if SHORTEST_CELL < len(cell.source) <= LONGEST_CELL)
    return TypedNotebook(f"{name}.ipynb", tuple(cells), typed=typed) if typed else None
