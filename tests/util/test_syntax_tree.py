import ast
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.util.bounds import Operations, counted_operations
from jupyter_turbopilot.util.syntax_tree import LONGEST, MOST, TooLongError, literal_value, parse, walk

WARNED_OF = "x = f('\\w', 1 is 1)\nassert (x, '')\n"
THREADS = f"""
import sys, threading, warnings
from jupyter_turbopilot.plugins.functions.parsing import parsed
from jupyter_turbopilot.analysis.scopes import Scopes

source = {WARNED_OF!r} * 20
start, failed = threading.Barrier(3), []

def work():
    start.wait()
    for _ in range(200):
        if parsed(source) is None or Scopes(source).bound != {{"x"}}:
            failed.append(source)

parsed(source)
before = list(warnings.filters)
sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
warnings.warn("the user's own")
print(warnings.filters == before, failed)
"""


@contextmanager
def _own_filters() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as received:
        yield received
        warnings.simplefilter("ignore")  # Python goes by the filters that it used last when it ends


@pytest.mark.parametrize("source", ["f(", "\0", "a" + "+a" * 100_000, "x = (" * 300, "'\ud800'"])
def test_parse_raises_only_syntax_errors(source: str) -> None:
    with pytest.raises(SyntaxError):
        parse(source)


@pytest.mark.parametrize(
    "source", ["a;" * (MOST // 2 + 1), "# " + "a" * LONGEST], ids=["words", "characters"]
)
def test_parse_rejects_source_that_would_block_threads(source: str) -> None:
    with pytest.raises(TooLongError):
        parse(source)
    assert isinstance(parse(source, bounded=False), ast.Module)


@given(st.text(alphabet="ab1 =([])'\\\n\0", max_size=60))
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
def test_parse_agrees_with_python(source: str) -> None:
    try:
        expected = ast.dump(ast.parse(source))
    except (SyntaxError, ValueError):
        with pytest.raises(SyntaxError):
            parse(source)
    else:
        assert ast.dump(parse(source)) == expected


@pytest.mark.parametrize(
    ("source", "value"), [("'a'", "a"), (" 'a'", "a"), ("['a', -1]", ["a", -1]), ("'a' 'b'  # c", "ab")]
)
def test_literal_value_of_a_literal(source: str, value: object) -> None:
    assert literal_value(source) == value


@pytest.mark.parametrize(
    "source", ["", "a", "a = 1", "f()", "1; 2", "{[]: 1}", "(" * 300, "-" * 900 + "1", "a" + "\u0301" * 99]
)
def test_literal_value_rejects_other_source(source: str) -> None:
    with pytest.raises((SyntaxError, ValueError)):
        literal_value(source)


@pytest.mark.parametrize("action", ["error", "always", "default"])
def test_parse_emits_no_warnings(action: Literal["error", "always", "default"]) -> None:
    with _own_filters() as received:
        for _ in range(2):
            warnings.resetwarnings()
            warnings.simplefilter(action)
            parse(WARNED_OF)
    assert not received


def test_parse_leaves_the_filters_of_the_process() -> None:
    command = [sys.executable, "-W", "default", "-c", THREADS]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "True []\n"
    assert done.stderr.count("Warning") == 1
    assert "the user's own" in done.stderr


def test_parse_rejects_marks_that_take_quadratic_time() -> None:
    parse(f"x = 1  # {chr(0x2500) * 80}\ne{chr(0x301)} = 1")
    with pytest.raises(TooLongError, match="combining marks"):
        parse("a" + "\u0301" * 20_000 + "\u0316" * 20_000)


@given(st.integers(1, 500), st.sampled_from(["x = 1\n", "x=(", "a.b;", "'", "# a b\n", "   "]))
def test_parse_counts_words_before_it_parses(number: int, text: str) -> None:
    operations = Operations()
    with counted_operations(operations), suppress(SyntaxError):
        parse(text * number)
    assert number // 20 <= operations.count <= 20 + 8 * number


def test_walk_returns_all_nodes_except_contexts() -> None:
    source = "@d\ndef f(a, *, b: int = 1, **c):\n    global g\n    return {x: [*y, f'{z!r:>3}'] for x, *_ in (a, b)}"
    tree = parse(f"{source}\nmatch a:\n    case {{'k': [B(x=1), *rest]}} if (c := a.b[1:2]): del c[0]\n")
    assert walk(tree) == [node for node in ast.walk(tree) if not isinstance(node, ast.expr_context)]
