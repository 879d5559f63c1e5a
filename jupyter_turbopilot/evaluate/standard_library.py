"""Python's own library as notebooks: something to type where nobody has brought notebooks."""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

from jupyter_turbopilot.context.notebook_file import NotebookCell
from jupyter_turbopilot.evaluate.notebooks import SHORTEST_CELL, TypedNotebook
from jupyter_turbopilot.evaluate.traces import LONGEST_CELL
from jupyter_turbopilot.syntax_tree import parse

MODULES = (
    "textwrap", "statistics", "calendar", "csv", "shutil", "colorsys", "fractions", "bisect", "heapq",
    "string", "random", "fnmatch", "glob", "zipfile", "tempfile", "html", "cmd", "sched", "queue", "shelve",
    "difflib", "pprint", "copy", "dataclasses", "functools", "getpass", "gettext", "mailbox", "numbers",
    "operator", "pathlib", "tokenize",
)  # fmt: skip


def notebooks() -> list[TypedNotebook]:
    """Return a notebook for each module whose source is there: its imports, then a function a cell."""
    return [notebook for name in MODULES if (notebook := _notebook(name))]


def _notebook(name: str) -> TypedNotebook | None:
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
            del function.body[0]  # few write these in notebooks
    sources = ["\n".join(map(ast.unparse, imports)), *map(ast.unparse, functions)]
    cells = [NotebookCell("code", source) for source in sources if source]
    typed = tuple(n for n, cell in enumerate(cells) if SHORTEST_CELL < len(cell.source) <= LONGEST_CELL)
    return TypedNotebook(f"{name}.ipynb", tuple(cells), typed=typed) if typed else None
