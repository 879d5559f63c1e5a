"""The doctests that a person wrote, and a program that runs them. Pure."""

from __future__ import annotations

import ast
import doctest
import warnings
from textwrap import dedent

_PROGRAM = """\
import doctest, sys, types

module = sys.modules["tested"] = types.ModuleType("tested")
exec(compile({module!r}, "tested", "exec"), vars(module))
tests = doctest.DocTestParser().get_doctest({doctests!r}, vars(module), "doctests", None, 0)
if all(example.options.get(doctest.SKIP) for example in tests.examples):
    sys.exit("There are no doctests.")
try:
    doctest.DebugRunner(verbose=False).run(tests)
except doctest.DocTestFailure as failure:
    example, got = failure.example, failure.got
    sys.exit(f"{{example.source.strip()}} gave {{got.strip()[:80]}}, expected {{example.want.strip()[:80]}}")
except doctest.UnexpectedException as failure:
    kind, error, _ = failure.exc_info
    sys.exit(f"{{failure.example.source.strip()}} raised {{kind.__name__}}: {{str(error)[:80]}}")
"""


def doctests_of(source: str) -> str:
    """Return the docstrings of a source that have doctests, as one text: "" if none has.

    Raise SyntaxError if it does not parse.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(source)
        except (ValueError, MemoryError, RecursionError) as error:
            raise SyntaxError(f"The source cannot be parsed ({type(error).__name__}).") from None
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented)]
    return "\n\n".join(text for text in docstrings if _has_examples(text))


def _has_examples(text: str) -> bool:
    try:
        examples = doctest.DocTestParser().get_examples(text)
    except ValueError:
        return True  # `doctest_program` says what is wrong with them
    return not all(example.options.get(doctest.SKIP) for example in examples)


def doctest_program(module: str, doctests: str) -> str:
    """Return a program that comes to its end if a module passes these doctests; its own are not run.

    Raise ValueError, which says where, if they are not written as doctests are.
    """
    doctest.DocTestParser().get_examples(dedent(doctests))
    return _PROGRAM.format(module=module, doctests=dedent(doctests))
