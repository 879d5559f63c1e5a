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
if not tests.examples:
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
    """Return the docstrings of a source that have doctests, as one text.

    Raise SyntaxError if it does not parse.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented)]
    return "\n\n".join(text for text in docstrings if ">>>" in text)


def doctest_program(module: str, doctests: str) -> str:
    """Return a program that comes to its end if a module passes these doctests; its own are not run.

    Raise ValueError, which says where, if they are not written as doctests are.
    """
    doctest.DocTestParser().get_examples(dedent(doctests))
    return _PROGRAM.format(module=module, doctests=dedent(doctests))
