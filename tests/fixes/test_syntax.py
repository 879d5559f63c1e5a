from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.languages import as_python
from jupyter_turbopilot.fixes.failed_cell import FailedCell
from jupyter_turbopilot.fixes.syntax import find
from jupyter_turbopilot.protocol.request import FixCell
from jupyter_turbopilot.util.syntax_tree import LONGEST, parse

from ..analysis.modules import modules


def corrected(source: str, name: str = "SyntaxError", *, changed: bool = False) -> str | None:
    cell = FixCell(source=source, execution_count=1, changed=changed)
    found = list(find(FailedCell(cells=[cell], failed=0, name=name, message="invalid syntax")))
    if not found:
        return None
    (fix,) = found
    (edit,) = fix.edits
    assert fix.run == [0]
    assert source[edit.start : edit.end] == edit.old
    result = source[: edit.start] + edit.text + source[edit.end :]
    parse(as_python(result))
    return result


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("for x in y\n    print(x)", "for x in y:\n    print(x)"),
        ("if x:\n    y\nelse  # no\n    z", "if x:\n    y\nelse:  # no\n    z"),
        ("%%time\ndef f(x)\n    return x", "%%time\ndef f(x):\n    return x"),
        ("x = 1\nprint(len(x)\ny = 2", "x = 1\nprint(len(x))\ny = 2"),
        ("x = [1, 2\ny = 3", "x = [1, 2]\ny = 3"),
        ("if f(x:\n    y", "if f(x):\n    y"),
        ("df[df['x' > 1]", "df[df['x'] > 1]"),
        ("df[df['x'] > 1", "df[df['x'] > 1]"),
        ("y = df['x' + z", None),
        ("y = df[['x', 'y'].mean()", "y = df[['x', 'y']].mean()"),
        ("y = df[['x', 'y']", "y = df[['x', 'y']]"),
        ("y = df[['x', 'y'].copy()", None),
        ("f(df['x', df['y'])", None),
        ("x = (1, 2]", None),
        ("print 'x')", "print( 'x')"),
        ("!ls\nprint('x)", "!ls\nprint('x')"),
        ("f('x', y')", "f('x', 'y')"),
        ("f(x, y')", None),
        ("f(x y)", "f(x, y)"),
        ("x = [\n    1,\n    2\n    3,\n]", "x = [\n    1,\n    2,\n    3,\n]"),
        ("f(x, (y,\n   z) + g(a b))", "f(x, (y,\n   z) + g(a, b))"),
        ("x = {'a': 1 'b': 2}", "x = {'a': 1, 'b': 2}"),
        ("x = {'a': 1, 'b' 2}", "x = {'a': 1, 'b': 2}"),
        ("if x = 1:\n    y", "if x == 1:\n    y"),
        ("while f(a=1) = 1:\n    y", "while f(a=1) == 1:\n    y"),
        ("if x:\n    print 'é', x  # y", "if x:\n    print('é', x)  # y"),
        ("x = 1 +", None),
        ("x y", None),
    ],
)
def test_find_repairs_a_missing_sign(source: str, expected: str | None) -> None:
    assert corrected(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("for x in y:\nprint(x)", "for x in y:\n    print(x)"),
        ("for x in y:\nprint(x)\n\nz", "for x in y:\n    print(x)\n\nz"),
        ("for x in y:\nprint(x)\nz", None),
        ("def f():\nx = 1\n  return x", "def f():\n  x = 1\n  return x"),
        ("if x:\ny\nelse:\n    z", "if x:\n    y\nelse:\n    z"),
        ("def f():\n    a\nb\n    c", "def f():\n    a\n    b\n    c"),
        ("x = 1\n  y = 2", "x = 1\ny = 2"),
        ("  x = 1", "x = 1"),
        ("if x:\n    y\n\tz", "if x:\n    y\n    z"),
        ("if x:\n        y\n    z", None),
        ("for x in y:\n    a\n   b\nc", "for x in y:\n    a\n    b\nc"),
        ("for x in y:\n    if a:\n        b\n     c", "for x in y:\n    if a:\n        b\n    c"),
        ("if x:\n   a\n    b\n    c", "if x:\n    a\n    b\n    c"),
        ("x = 1\n y = 2\n z = 3", None),
        ("if x:\n    y\n     z\n     z\na", "if x:\n     y\n     z\n     z\na"),
        ("if x:\n    y\n    y\n     z\n     z", None),
        ("if x:\n\ty\n\t z", None),
        ("if x:\n        a\n    b\n    c", None),
    ],
)
def test_find_repairs_indentation(source: str, expected: str | None) -> None:
    assert corrected(source, "IndentationError") == expected


@pytest.mark.parametrize(
    "source", ["x = 1", "%%bash\nif x", "(\n" * 30, "print x\nprint y", "if x = 1:\n    print y", ""]
)
def test_find_offers_nothing(source: str) -> None:
    assert corrected(source) is None


def test_find_offers_nothing_for_changed_cells_and_other_errors() -> None:
    assert corrected("print x") == "print(x)"
    assert corrected("print x", changed=True) is None
    assert corrected("print x", "NameError") is None
    assert corrected("x = [1", "_IncompleteInputError") == "x = [1]"  # Python 3.13


@pytest.mark.parametrize("line", ["x = f(1, 2)\n", "    x\n", "x = 'y'; ", "(" * 50, "if x:\n"])
def test_find_handles_long_cells(line: str) -> None:
    assert corrected("print x\n" + line * (LONGEST // len(line))) is None
    assert corrected("x = 1\n" * 500 + "print x\n" + "x = 1\n" * 500) is not None


@given(modules(), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_a_repaired_cell_parses(source: str, seed: int) -> None:
    at = random.Random(seed).randrange(len(source) + 1)
    corrected(source[:at] + source[at + 1 :])
