"""Misspelled names of files, and files in other folders. Pure."""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from posixpath import split
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.fixes.nearest import nearest
from jupyter_turbopilot.protocol.fix import Edit, Fix, quoted
from jupyter_turbopilot.util.bounds import count_operations
from jupyter_turbopilot.util.syntax_tree import literal_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.analysis.report import Folder
    from jupyter_turbopilot.fixes.failed_cell import FailedCell

_BEFORE = "No such file or directory: "
_LONGEST = 1024  # characters of a path
_IN_FIND = 99  # characters; Python's search for a longer text may take quadratic time
_CONFIDENCE = 0.8  # of a file with the same name in another folder
_UNQUOTED = re.compile(r"[^'\"\\\x00-\x1f{}]*")  # valid in any string literal


def find(failure: FailedCell) -> Iterator[Fix]:
    """Find the nearest file, if one string literal of the notebook is the missing path."""
    error = failure.report.error
    path = (error and error.path) or _path_in(failure.message)
    if failure.name != "FileNotFoundError" or not path or len(path) > _LONGEST or not failure.position:
        return
    near = _nearest(path, failure.report.folders)
    literals = _literals(failure, path) if near else []
    if near is None or len(literals) != 1:
        return
    text, confidence = near
    (literal,) = literals
    edit = literal.with_text(text)
    if edit is None:
        return
    run = [edit.cell, failure.failed] if edit.cell < failure.failed else [failure.failed]
    folder, name = split(text)
    title = f"Did you mean {quoted(name if folder == split(path)[0] else text)}?"
    yield Fix(title=title, source="files", confidence=confidence, edits=[edit], run=run)


def _path_in(message: str) -> str:
    """Return the missing path in a message, or an empty string."""
    quoting = message.partition(_BEFORE)[2]
    if quoting[:1] in {"'", '"'} and quoting.endswith(quoting[0]) and "\n" not in quoting:
        return quoting[1:-1]
    before, after = "File ", " does not exist"
    is_whole = message.startswith(before) and message.endswith(after) and "\n" not in message
    return message[len(before) : -len(after)] if is_whole else ""


class _Literal(NamedTuple):
    """A string literal that is the missing path."""

    cell: int
    start: int
    text: str
    path: str

    def with_text(self, path: str) -> Edit | None:
        """Return the edit that replaces the path; None if it would have to be escaped in an unknown way."""
        start, old, new = self.start + self.text.find(self.path), self.path, path
        if not path.isprintable():  # for example with bidirectional formatting characters
            with suppress(SyntaxError, ValueError):
                if literal_value(self.text) == self.path:
                    start, old, new = self.start, self.text, repr(path)
        if not new.isprintable() or (new == path and not _UNQUOTED.fullmatch(path)):
            return None
        return Edit(cell=self.cell, start=start, end=start + len(old), old=old, text=new)


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
    """Return a folder without `./` and the final `/`; a link before `..` may lead anywhere."""
    plain = folder.removeprefix("./")
    return "" if plain == "." else plain.rstrip("/") or plain


def _literals(failure: FailedCell, path: str) -> list[_Literal]:
    """Return the string literals that equal a path."""
    found = []
    for number, source in failure.notebook.python:
        count_operations(1 + len(source) // 64)
        if path[-_IN_FIND:] not in source:
            continue
        try:
            parsed = failure.notebook.parsed(source)
        except SyntaxError:
            return []
        # The parts of f-strings are not whole paths.
        parts = {id(part) for node in parsed.nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in parsed.nodes:
            if not isinstance(node, ast.Constant) or node.value != path or id(node) in parts:
                continue
            start, end = parsed.span(node)
            literal = _Literal(number, start, source[start:end], path)
            if failure.cells[number].changed or path not in literal.text:
                return []
            found.append(literal)
    return found
