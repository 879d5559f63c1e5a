from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.util.running import program
from jupyter_turbopilot.util.running.doctests import (
    DoctestResult,
    doctest_program,
    doctests_of,
    may_change,
    verdict_of,
)
from jupyter_turbopilot.util.running.program import run_program

STUB = '''
def twice(n):
    """Return twice a number.

    >>> twice(2)
    4
    >>> [twice(n)
    ...  for n in (1, 2)]
    [2, 4]
    """

def other():
    """No examples."""
'''
DOCTESTS = doctests_of(STUB)


def verdict(module: str, doctests: str = DOCTESTS, seconds: float = 2) -> DoctestResult:
    return verdict_of(run_program(doctest_program(module, doctests), seconds=seconds), doctests)


def why(module: str, doctests: str = DOCTESTS) -> str:
    return verdict(module, doctests).why


def test_doctests_of_finds_docstrings_with_examples() -> None:
    assert DOCTESTS.startswith("Return twice a number.")
    assert "No examples" not in DOCTESTS


def test_doctests_of_is_empty_without_examples() -> None:
    assert doctests_of("def f(): '''Nothing.'''") == ""
    with pytest.raises(SyntaxError):
        doctests_of("def")


@pytest.mark.parametrize("text", ["Write it after `>>>`.", ">>> f()  # doctest: +SKIP\n    1"])
def test_doctests_of_ignores_skipped_examples(text: str) -> None:
    assert doctests_of(f"def f():\n    '''{text}\n    '''") == ""
    assert why("def f(): return 1", text) == "There are no doctests."


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("def twice(n): return n", "`twice(2)` gave 2, expected 4"),
        ("def twice(n): return n / 0", "`twice(2)` raised ZeroDivisionError: division by zero"),
        ("def twice(n): return double(n)", "`twice(2)` raised NameError: name 'double' is not defined"),
        ("def twice(n):\n    import os\n    os._exit(0)", "`twice(2)` exited with status 0 before its end."),
        ("import sys\nsys.exit(0)", "It exited with status 0 before its end."),
        ("def twice(n): return input()", "`twice(2)` raised EOFError: EOF when reading a line"),
        ("def twice(n): return 4", "`[twice(n) for n in (1, 2)]` gave [4, 4], expected [2, 4]"),
        ("def twice(n): pass", "`twice(2)` gave nothing, expected 4"),
        ("def twice(n): raise ValueError", "`twice(2)` raised ValueError"),
        ("def twice(", "SyntaxError: '(' was never closed"),
        ("'''", "SyntaxError: unterminated triple-quoted string literal (detected at line 1)"),
    ],
)
def test_doctest_program_reports_the_expected_value(module: str, reason: str) -> None:
    assert why(module) == reason


def test_doctest_program_stops_an_endless_loop() -> None:
    ended = verdict("", ">>> x = 1\n>>> while True: pass\n", seconds=1)
    assert ended == DoctestResult("`while True: pass` did not end within 1 seconds.", 1)


@pytest.mark.parametrize(
    ("module", "failed"),
    [
        ("def twice(n): return 2 * n", -1),
        ("def twice(n): return 4", 1),
        ("def twice(n): pass", 0),
        ("1 / 0", -1),
    ],
)
def test_verdict_of_names_the_failed_example(module: str, failed: int) -> None:
    assert verdict(module).failed == failed


@pytest.mark.parametrize(
    ("examples", "changes"),
    [
        (["f(1)"], True),
        (["tkinter.Tk()"], False),
        (["f(1)", "import tkinter", "tkinter.Tk()"], False),
        (["while True: pass"], False),
        (["for x in f(1): pass", "while True: pass"], False),
        (["x = f(1)", "y = g(x)", "list(y)"], True),
        (["f(1)", "_ + 1"], True),
        (["print(f(1))", "print(2)"], False),
    ],
)
def test_may_change_is_false_without_a_generated_function(examples: list[str], changes: bool) -> None:
    doctests = "".join(f">>> {each}\n" for each in examples)
    assert may_change(doctests, len(examples) - 1, ["f"]) is changes
    assert may_change(doctests, -1, ["f"])


@pytest.mark.skipif(os.name != "posix", reason="the limits are POSIX's")
def test_doctest_program_stops_excessive_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "MEMORY", 2**28)  # doctest keeps what is printed
    example = ">>> for _ in range(1000): print('x' * 10**6)\n"
    assert "MemoryError" in run_program(doctest_program("", example)).why


def test_doctest_program_ignores_the_modules_own_doctests() -> None:
    assert why('def twice(n):\n    """\n    >>> twice(1)\n    3\n    """\n    return 2 * n') == ""


def test_doctest_program_rejects_invalid_examples() -> None:
    with pytest.raises(ValueError, match="line 2"):
        doctest_program("", ">>> f()\n>>>g()\n")


@given(st.text(max_size=40), st.text(max_size=40))
@settings(max_examples=20, deadline=None)
def test_doctest_program_parses_for_any_input(module: str, words: str) -> None:
    compile(doctest_program(module, words.replace(">", "")), "", "exec")
