"""What a suggestion names, as questions that only a live kernel can answer. Pure.

The judge has to be another than the filter: here Python's parser finds the names, and the kernel's own
objects say whether they are there.
"""

from __future__ import annotations

import ast
import builtins
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.magics import as_python
from jupyter_turbopilot.suggestion.resolve import bindings
from jupyter_turbopilot.suggestion.syntax import scan
from jupyter_turbopilot.syntax_tree import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUILTINS = frozenset((*dir(builtins), "display", "get_ipython", "In", "Out", "exit", "quit", "__name__"))
_TAILS = ("", "_", ": pass", "\n pass", "\n  pass", "\n    pass", "\n        pass", " import _",
          " in _: pass", "\nexcept Exception: pass", "\n    pass\nexcept Exception: pass",
          " else _")  # fmt: skip

# Runs in the kernel. None: nobody can know.
ANSWER = """
def answer(space, question):
    chain, key = question
    if chain[0] not in space:
        return False if len(chain) == 1 and key is None else None
    value = space[chain[0]]
    for at, name in enumerate(chain[1:]):
        if not hasattr(value, name):
            return False if at == len(chain) - 2 and key is None else None
        value = getattr(value, name)
    if key is None:
        return True
    known = getattr(value, "columns", None) if type(value).__name__ == "DataFrame" else None
    return None if known is None else key in list(known)
"""


@dataclass(frozen=True)
class Question:
    """A name with its attributes, or a column of what it holds."""

    chain: tuple[str, ...]
    key: str | None = None


@dataclass
class ResolvedNames:
    """How much of what suggestions name is there."""

    there: int = 0
    missing: int = 0
    unknown: int = 0  # nobody can tell: the object is made in the cell itself, or by a call

    @property
    def share(self) -> float:
        """Names that are missing, of all that can be told."""
        return self.missing / max(1, self.there + self.missing)


def questions(before: str, text: str) -> tuple[list[Question], int]:
    """Return what to ask about a text behind a beginning, and how many names nobody can know."""
    tree, plain = _parsed(before + text)
    if tree is None:
        return [], 1
    starts = [0]
    for line in plain.splitlines(keepends=True):
        starts.append(starts[-1] + len(line.encode()))
    first, last = len(as_python(before).encode()), len(plain.encode())
    own = bindings(ast.unparse(tree))
    asked, unknown = [], 0
    for node in ast.walk(tree):
        end = getattr(node, "end_lineno", None)
        if end is None or not first < starts[end - 1] + node.end_col_offset <= last:  # type: ignore[attr-defined]
            continue
        question = _question(node)
        if question is None:
            unknown += isinstance(node, ast.Attribute)
        elif question.chain[0] in own:
            unknown += 1
        elif question.chain[0] not in _BUILTINS:
            asked.append(question)
    return asked, unknown


def _question(node: ast.AST) -> Question | None:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id != "_":
        return Question((node.id,))
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr != "_":
        chain = tuple(reversed([*_chain(node)]))
        return Question(chain) if chain[0] else None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        chain = tuple(reversed([*_chain(node.value)]))
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        return Question(chain, key) if chain[0] and isinstance(key, str) else None
    return None


def _chain(node: ast.AST) -> Iterator[str]:
    while isinstance(node, ast.Attribute):
        yield node.attr
        node = node.value
    yield node.id if isinstance(node, ast.Name) else ""


def _parsed(text: str) -> tuple[ast.Module | None, str]:
    """Parse a text that may stop anywhere: what is open is closed with as little as goes."""
    plain = as_python(text)
    opened = scan(plain)
    closed = plain + opened.quote
    for inner in ("", "_", "=_", ": _", " for _ in _", " in _"):
        for tail in _TAILS:
            with suppress(SyntaxError):
                return parse(closed + inner + opened.brackets + tail), plain
    return None, plain
