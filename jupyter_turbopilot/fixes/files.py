"""Misspelled names of files, and files in other folders. Pure."""

from __future__ import annotations

import ast
import re
from posixpath import split
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.languages import cell_language
from jupyter_turbopilot.fixes.fix import Edit, Fix
from jupyter_turbopilot.fixes.nearest import nearest
from jupyter_turbopilot.fixes.parsed_cell import ParsedCell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.fixes.failure import Failure
    from jupyter_turbopilot.fixes.report import Folder

_MISSING = re.compile(
    r"No such file or directory: (['\"])(?P<path>.*)\1\Z|^File (?P<file>.*) does not exist\Z"
)
_CONFIDENCE = 0.8  # of a file with the same name in another folder
_UNQUOTED = re.compile(r"[^'\"\\\x00-\x1f{}]*")  # valid in any string literal


def find(failure: Failure) -> Iterator[Fix]:
    """Find the nearest file, if one string literal of the notebook is the missing path."""
    found = _MISSING.search(failure.message)
    error = failure.report.error
    path = (error and error.path) or (found and (found["path"] or found["file"]))
    if failure.name != "FileNotFoundError" or not path or not failure.position:
        return
    near = _nearest(path, failure.report.folders)
    literals = _literals(failure, path)
    if near is None or len(literals) != 1 or not _UNQUOTED.fullmatch(near[0]):
        return
    text, confidence = near
    cell, start = literals[0]
    edit = Edit(cell=cell, start=start, end=start + len(path), old=path, text=text)
    run = [cell, failure.failed] if cell < failure.failed else [failure.failed]
    folder, name = split(text)
    title = f"Did you mean '{name if folder == split(path)[0] else text}'?"
    yield Fix(title=title, source="files", confidence=confidence, edits=[edit], run=run)


def _nearest(path: str, folders: list[Folder]) -> tuple[str, float] | None:
    """Return the only near path and a confidence."""
    parent, name = split(path)
    if not name or "\\" in path:
        return None
    prefix = "./" if path.startswith("./") else ""
    others = {_join(prefix, folder.path, name) for folder in folders if name in folder.names} - {path}
    here = [folder for folder in folders if _plain(folder.path) == _plain(parent)]
    names = [each.rstrip("/") for folder in here for each in folder.names]
    near = None if name in names else nearest(name, names, kind="file")
    if near and not others:
        return path[: len(path) - len(name)] + near[0], near[1]
    if len(others) == 1 and not near:
        return others.pop(), _CONFIDENCE
    return None


def _join(prefix: str, folder: str, name: str) -> str:
    plain = _plain(folder)
    return prefix * (not plain.startswith(("/", ".."))) + (f"{plain.rstrip('/')}/{name}" if plain else name)


def _plain(folder: str) -> str:
    """Return a folder without `./` and the final `/`; the working directory is empty."""
    plain = folder.removeprefix("./")
    return "" if plain == "." else plain.rstrip("/") or plain


def _literals(failure: Failure, path: str) -> list[tuple[int, int]]:
    """Return the cells and positions of the string literals that equal a path."""
    found = []
    for number, cell in enumerate(failure.cells):
        source = cell.source or ""
        if cell.type != "code" or path not in source or cell_language(source, "python") != "python":
            continue
        try:
            parsed = ParsedCell(source)
        except SyntaxError:
            return []
        nodes = [*ast.walk(parsed.scopes.tree)]
        # The parts of f-strings are not whole paths.
        parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in nodes:
            if not isinstance(node, ast.Constant) or node.value != path or id(node) in parts:
                continue
            at = parsed.start(node) + parsed.scopes.text(node).find(path)
            if cell.changed or not source.startswith(path, at):
                return []
            found.append((number, at))
    return found
