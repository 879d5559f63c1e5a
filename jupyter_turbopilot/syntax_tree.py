"""Python's parser, for source from a user, a file or a model: bounded and without warnings.

No other thread runs while Python parses, so a source is refused that would take too long. The compiler is not
used: it copies the body of each `finally`, so 20 nested ones take seconds and gigabytes.

Several threads parse at once, one of them may be the user's, and warning filters belong to the process: a
block that changes and restores them may restore what another thread had set. So all source is parsed under
one file name, and one permanent filter ignores the warnings of that file.
"""

from __future__ import annotations

import ast
import re
import warnings
from itertools import islice
from threading import Lock

LONGEST = 60_000  # characters
MOST = LONGEST // 8  # words, signs and lines; 20 000 characters of code have 5000
_WORD = re.compile(r"\w+|([^\w\s])\1*+|\n+")
_ATTEMPTS = 4
_FILE = "<turbopilot>"
_OURS = re.escape(_FILE)  # in filters, a file that belongs to no module stands for one
_IGNORED = ("ignore", None, Warning, re.compile(_OURS), 0)
_LEAVES = (ast.Constant, ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
_lock = Lock()


class TooLongError(SyntaxError):
    """The source would take too long to parse."""


def parse(source: str, flags: int = 0, *, bounded: bool = True) -> ast.Module:
    """Return the tree of a source; raise SyntaxError for any that cannot be parsed.

    `flags`: other ones of `compile`. `bounded`: refuse a source that holds up other threads.
    """
    if bounded and (len(source) > LONGEST or any(islice(_WORD.finditer(source), MOST, None))):
        raise TooLongError(f"The source is longer than {LONGEST} characters or {MOST} words. Split it.")
    for _ in range(_ATTEMPTS):
        _ignore()
        try:
            tree: ast.Module = compile(source, _FILE, "exec", ast.PyCF_ONLY_AST | flags, dont_inherit=True)
        except SystemError:
            continue  # up to Python 3.11.7 and 3.12.1 where another thread parses meanwhile (gh-106905)
        except SyntaxError:
            if _is_ignored():
                raise
            # Another thread has changed the filters meanwhile, so this may have been a warning.
        except (ValueError, MemoryError, RecursionError) as error:
            raise SyntaxError(f"The source cannot be parsed ({type(error).__name__}).") from None
        else:
            return tree
    raise SyntaxError("The source cannot be parsed: other threads disturb the parser.")


def error_at(node: ast.AST, message: str) -> SyntaxError:
    """Return an error that names the line of a node."""
    return SyntaxError(message, (_FILE, getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1, None))


def parts_of(node: ast.AST) -> list[ast.AST]:
    """Return the parts of a node, those left out that say nothing more: constants, operators, contexts."""
    return [part for part in ast.iter_child_nodes(node) if not isinstance(part, _LEAVES)]


def all_arguments(given: ast.arguments) -> list[ast.arg]:
    """Return the parameters of a function, of every kind."""
    stars = [each for each in (given.vararg, given.kwarg) if each]
    return [*given.posonlyargs, *given.args, *given.kwonlyargs, *stars]


def _ignore() -> None:
    """Put our filter before all others, one of which may turn warnings into errors."""
    if not _is_ignored():
        with _lock:
            warnings.filterwarnings("ignore", module=_OURS)


def _is_ignored() -> bool:
    return warnings.filters[:1] == [_IGNORED]
