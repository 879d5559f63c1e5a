"""Python's parser and compiler, for source that a person or a model wrote: they warn of nothing.

Several threads parse at once, one of them may be the user's, and warning filters belong to the process: a
block that changes and restores them may restore what another thread had set. So all source is compiled under
one file name, and one permanent filter ignores the warnings of that file.
"""

from __future__ import annotations

import ast
import re
import symtable
import warnings
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_ATTEMPTS = 4
_FILE = "<turbopilot>"
_OURS = re.escape(_FILE)  # in filters, a file that belongs to no module stands for one
_IGNORED = ("ignore", None, Warning, re.compile(_OURS), 0)
_lock = Lock()


def parse(source: str, flags: int = 0) -> ast.Module:
    """Return the tree of a source; raise SyntaxError for any that cannot be parsed.

    `flags`: other ones of `compile`.
    """

    def work() -> ast.Module:
        tree: ast.Module = compile(source, _FILE, "exec", ast.PyCF_ONLY_AST | flags, dont_inherit=True)
        return tree

    return _quietly(work)


def check(tree: ast.Module) -> None:
    """Raise SyntaxError for a tree that cannot be compiled: a `return` outside of functions parses."""
    _quietly(lambda: compile(tree, _FILE, "exec", dont_inherit=True))


def symbol_table(source: str) -> symtable.SymbolTable:
    """Return the symbol table of a module; raise SyntaxError for any that has none."""
    return _quietly(lambda: symtable.symtable(source, _FILE, "exec"))


def _quietly(work: Callable[[], T]) -> T:
    """Return what is read from source; raise SyntaxError whatever the reason that it cannot be read."""
    for _ in range(_ATTEMPTS):
        _ignore()
        try:
            return work()
        except SystemError:
            continue  # up to Python 3.11.7 and 3.12.1 where another thread parses meanwhile (gh-106905)
        except SyntaxError:
            if _is_ignored():
                raise
            # Another thread has changed the filters meanwhile, so this may have been a warning.
        except (ValueError, MemoryError, RecursionError) as error:
            raise SyntaxError(f"The source cannot be parsed ({type(error).__name__}).") from None
    raise SyntaxError("The source cannot be parsed: other threads disturb the parser.")


def _ignore() -> None:
    """Put our filter before all others, one of which may turn warnings into errors."""
    if not _is_ignored():
        with _lock:
            warnings.filterwarnings("ignore", module=_OURS)


def _is_ignored() -> bool:
    return warnings.filters[:1] == [_IGNORED]
