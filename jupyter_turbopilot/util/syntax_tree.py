"""Bounded parsing of Python source without warnings.

Parsing blocks all other threads, so source that would take too long is rejected. The compiler is not used: it
copies the body of each `finally`, so 20 nested ones take seconds and gigabytes.

Several threads parse at once, one of which may be the user's, and warning filters are global to the process:
a block that changes and restores them may restore another thread's changes. So all source is parsed with one
file name, and one permanent filter ignores the warnings of that file.
"""

from __future__ import annotations

import ast
import re
import warnings
from itertools import islice
from threading import Lock
from typing import Any

from jupyter_turbopilot.util.bounds import MOST_MARKS, count_operations, has_many_marks

LONGEST = 60_000  # characters
MOST = LONGEST // 8  # words, signs and lines; 20 000 characters of code contain 5000
_WORD = re.compile(r"\w+|([^\w\s])\1*+|\n+")
_ATTEMPTS = 4
_CALL = 20  # operations for parsing an empty source
_FILE = "<turbopilot>"  # whose warnings are ignored
_OURS = re.escape(_FILE)  # in filters, the file name replaces a module's
_IGNORED = ("ignore", None, Warning, re.compile(_OURS), 0)
_LEAVES = (ast.Constant, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
_lock = Lock()


class TooLongError(SyntaxError):
    """The source would take too long to parse."""


def parse(source: str, flags: int = 0, *, bounded: bool = True) -> ast.Module:
    """Parse a source; raise SyntaxError if that fails.

    `flags`: further flags of `compile`. `bounded`: reject source that would block other threads.
    """
    words = sum(1 for _ in islice(_WORD.finditer(source), MOST + 1)) if len(source) <= LONGEST else MOST + 1
    if bounded and words > MOST:
        raise TooLongError(f"The source is longer than {LONGEST} characters or {MOST} words. Split it.")
    if has_many_marks(source):
        raise TooLongError(f"The source has more than {MOST_MARKS} combining marks after each other.")
    for _ in range(_ATTEMPTS):
        count_operations(_CALL + len(source) // 16 + words * 3 // 2)
        _ignore()
        try:
            tree: ast.Module = compile(source, _FILE, "exec", ast.PyCF_ONLY_AST | flags, dont_inherit=True)
        except SystemError:
            continue  # up to Python 3.11.7 and 3.12.1, while another thread parses (gh-106905)
        except SyntaxError:
            if _is_ignored():
                raise
            # Another thread has changed the filters, so the error may have been a warning.
        except (ValueError, MemoryError, RecursionError) as error:
            raise SyntaxError(f"The source cannot be parsed ({type(error).__name__}).") from None
        else:
            return tree
    raise SyntaxError("The source cannot be parsed: other threads keep changing the warning filters.")


def literal_value(source: str) -> Any:
    """Return the value of a literal; raise SyntaxError or ValueError for other source."""
    match parse(source.lstrip(" \t")).body:
        case [ast.Expr(value=node)]:
            try:
                return ast.literal_eval(node)
            except (TypeError, MemoryError, RecursionError) as error:
                raise ValueError(f"The literal has no value ({type(error).__name__}).") from None
    raise ValueError("The source is not a literal.")


def error_at(node: ast.AST, message: str) -> SyntaxError:
    return SyntaxError(message, (_FILE, getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1, None))


def parts_of(node: ast.AST) -> list[ast.AST]:
    """Return the child nodes, except constants, operators and contexts."""
    return [part for part in ast.iter_child_nodes(node) if not isinstance(part, _LEAVES)]


def walk(tree: ast.AST) -> list[ast.AST]:
    """Return all nodes except contexts, in the order of `ast.walk` and in half of its time."""
    nodes = [tree]
    for node in nodes:
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                nodes += [part for part in value if isinstance(part, ast.AST)]
            elif isinstance(value, ast.AST) and name != "ctx":
                nodes.append(value)
    return nodes


def all_arguments(given: ast.arguments) -> list[ast.arg]:
    stars = [each for each in (given.vararg, given.kwarg) if each]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *stars]


def _ignore() -> None:
    """Insert the filter before all others, as one of them may turn warnings into errors."""
    if not _is_ignored():
        with _lock:
            warnings.filterwarnings("ignore", module=_OURS)


def _is_ignored() -> bool:
    return warnings.filters[:1] == [_IGNORED]
