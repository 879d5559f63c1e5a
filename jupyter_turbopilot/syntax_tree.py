"""Python's parser, for source that a person or a model wrote: it warns of nothing. Pure."""

from __future__ import annotations

import ast
import warnings

_ATTEMPTS = 4


def parse(source: str, flags: int = 0) -> ast.Module:
    """Return the tree of a source; raise SyntaxError for any that cannot be parsed.

    `flags`: other ones of `compile`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(_ATTEMPTS):
            try:
                tree: ast.Module = compile(
                    source, "", "exec", ast.PyCF_ONLY_AST | flags, dont_inherit=True
                )  # fmt: skip
            except SystemError:
                continue  # up to Python 3.11.7 and 3.12.1 where another thread parses meanwhile (gh-106905)
            except (ValueError, MemoryError, RecursionError) as error:
                raise SyntaxError(f"The source cannot be parsed ({type(error).__name__}).") from None
            return tree
    raise SyntaxError("The source cannot be parsed (SystemError).")
