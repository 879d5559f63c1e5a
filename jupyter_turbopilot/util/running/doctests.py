"""Extraction of a user's doctests, a program that runs them, and its result. Pure."""

from __future__ import annotations

import ast
import builtins
import doctest
import keyword
import re
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING

from jupyter_turbopilot.util.syntax_tree import parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_turbopilot.util.running.program import ProgramResult

LONGEST_QUOTE = 80  # characters of a quoted example or value
_PROGRAM = """\
import doctest, os, sys, types

class Runner(doctest.DebugRunner):
    def report_start(self, out, test, example):
        at = next(at for at, each in enumerate(test.examples) if each is example)
        os.write(1, f"\\n{mark}{{at}}\\n".encode())

def short(text):
    return " ".join(text.split())[:{longest}]

module = sys.modules["tested"] = types.ModuleType("tested")
exec(compile({module!r}, "tested", "exec"), vars(module))
tests = doctest.DocTestParser().get_doctest({doctests!r}, vars(module), "doctests", None, 0)
if all(example.options.get(doctest.SKIP) for example in tests.examples):
    sys.exit("There are no doctests.")
try:
    Runner(verbose=False).run(tests)
except doctest.DocTestFailure as failure:
    got, want = (short(text) or "nothing" for text in (failure.got, failure.example.want))
    sys.exit(f"It gave {{got}}, expected {{want}}")
except doctest.UnexpectedException as failure:
    kind, error, _ = failure.exc_info
    sys.exit("It raised " + ": ".join(filter(None, [kind.__name__, short(str(error))])))
"""
_MARK = "doctest "  # precedes the number of an example that starts
_BEGUN = re.compile(rf"^{_MARK}(\d{{1,6}})$", re.MULTILINE)
_ENDED = "It exited the program."
_WORD = re.compile(r"\w+")
_ALWAYS = frozenset((*keyword.kwlist, *dir(builtins)))


@dataclass(frozen=True)
class DoctestResult:
    """The result of doctests."""

    why: str = ""  # the reason of a failure
    failed: int = -1  # index of the failed example, if one started


def doctests_of(source: str) -> str:
    """Return the docstrings with doctests in a source, joined; "" if there are none.

    Raises SyntaxError if the source does not parse.
    """
    tree = parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented)]
    return "\n\n".join(text for text in docstrings if _has_examples(text))


def _has_examples(text: str) -> bool:
    try:
        examples = doctest.DocTestParser().get_examples(text)
    except ValueError:
        return True  # `doctest_program` raises the error
    return not all(example.options.get(doctest.SKIP) for example in examples)


def doctest_program(module: str, doctests: str) -> str:
    """Return a program that runs to its end if a module passes these doctests; the module's own are ignored.

    Raises ValueError with the position if the doctests are invalid.
    """
    _examples(doctests)
    return _PROGRAM.format(module=module, doctests=dedent(doctests), mark=_MARK, longest=LONGEST_QUOTE)


def verdict_of(outcome: ProgramResult, doctests: str) -> DoctestResult:
    """Return the result of a program of `doctest_program`."""
    if outcome.passed:
        return DoctestResult()
    begun, examples = _BEGUN.findall(outcome.printed), _examples(doctests)
    at = int(begun[-1]) if begun else -1
    if not 0 <= at < len(examples):
        return DoctestResult(outcome.why)
    source = " ".join(examples[at].source.split())
    quoted = source if len(source) <= LONGEST_QUOTE else f"{source[:LONGEST_QUOTE]}…"
    why = _ENDED if _BEGUN.fullmatch(outcome.why) else outcome.why  # no error was printed
    message = why.removeprefix("It ")
    return DoctestResult(f"`{quoted}`{' ' if message != why else ': '}{message}", at)


def may_change(doctests: str, failed: int, functions: Iterable[str]) -> bool:
    """Return whether generating these functions again can change the result of a failed example.

    It cannot if the example uses neither them nor a name from an earlier example that does.
    """
    names, uses = {"_", *functions}, True
    for example in _examples(doctests)[: failed + 1]:
        words = set(_WORD.findall(example.source))
        uses = not words.isdisjoint(names)
        names |= words - _ALWAYS if uses else set()
    return uses


def _examples(doctests: str) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(dedent(doctests))
