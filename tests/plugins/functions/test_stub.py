import ast
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.calls import missing_functions
from jupyter_turbopilot.plugins.functions.stub import (
    LONGEST_QUOTE,
    Stub,
    parse_instruction,
    stub_for,
    stub_with_head,
)
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.util.bounds import STATEMENT


@pytest.mark.parametrize(
    ("source", "head", "indent"),
    [
        ("def f(x):", "def f(x):", "    "),
        ("def f(x):\n    '''Do.'''\n", "def f(x):\n    '''Do.'''", "    "),
        ("def f(x):\n    pass", "def f(x):", "    "),
        ("def f(x):\n    '''Do.'''\n    ...\n\n", "def f(x):\n    '''Do.'''", "    "),
        ("def f(x):\n    '''Do.'''\n    # Use g.", "def f(x):\n    '''Do.'''\n    # Use g.", "    "),
        ("def f(x):\n    raise NotImplementedError", "def f(x):", "    "),
        ("def f(x):\n    for y in x:", "def f(x):\n    for y in x:", "        "),
        ("def f(x): 'Do.'", "def f(x):\n    'Do.'", "    "),
        ("def f(x): return 1", "def f(x):\n    return 1", "    "),
        ("# Why.\ndef f(x): return g(x)", "# Why.\ndef f(x):\n    return g(x)", "    "),
        ("def f(x):\n    y = x; pass", "def f(x):\n    y = x; pass", "    "),
        ("@(\n  cache\n)\ndef f(x):", "@(\n  cache\n)\ndef f(x):", "    "),
        ("def f(x='a\tb'):", "def f(x='a\tb'):", "    "),
        ("def f(\n    x,\n): ...", "def f(\n    x,\n):", "    "),
        ("def f(é='é'): return é; pass", "def f(é='é'):\n    return é; pass", "    "),
        ("def f(\n    x=')',\n):", "def f(\n    x=')',\n):", "    "),
        ("@cache\nasync def f(x):\r\n\tpass", "@cache\nasync def f(x):", "        "),
        ("# Why.\n@cache\ndef f(x):", "# Why.\n@cache\ndef f(x):", "    "),
    ],
)
def test_parse_instruction_finds_the_stub_above_a_body(source: str, head: str, indent: str) -> None:
    asked = parse_instruction(source)
    assert asked.stub
    assert (asked.stub.name, asked.stub.head, asked.stub.indent, asked.above) == ("f", head, indent, "")
    ast.parse(asked.stub.unwritten)


def test_parse_instruction_comments_an_instruction() -> None:
    asked = parse_instruction("  # Sort it.\n\nThen define the rest.\n")
    assert asked.stub is None
    assert asked.beginning == "# Sort it.\n#\n# Then define the rest.\ndef"


def test_parse_instruction_finds_a_call_at_the_start() -> None:
    stub = parse_instruction("mean(xs, weights=None) returns the mean.\nOf numbers.").stub
    assert stub
    assert stub.name == "mean"
    assert stub.head == (
        "# mean(xs, weights=None) returns the mean.\n# Of numbers.\ndef mean(xs, weights=None):"
    )
    assert parse_instruction("mean(3, 4) is what I want").stub is None


@pytest.mark.parametrize("source", ["", " \n\t", "a\0b", "x" * (STATEMENT + 1)])
def test_parse_instruction_rejects_empty_and_too_long_text(source: str) -> None:
    with pytest.raises(BadRequestError):
        parse_instruction(source)


@given(st.text(max_size=300))
def test_parse_instruction_accepts_or_rejects_any_text(source: str) -> None:
    try:
        asked = parse_instruction(source)
    except BadRequestError:
        return
    if asked.stub:
        ast.parse(asked.stub.unwritten)
    else:
        ast.parse(asked.comment)


@pytest.mark.parametrize(
    ("written", "head"),
    [
        (" mean(xs):", "def mean(xs):"),
        (" mean(xs: list[int]) -> float:\n    return 1", "def mean(xs: list[int]) -> float:"),
        (" mean(xs)", "def mean(xs):"),
    ],
)
def test_stub_with_head_completes_the_stub(written: str, head: str) -> None:
    asked = parse_instruction("Take the mean.")
    stub = stub_with_head(asked, written)
    assert stub
    assert (stub.name, stub.head) == ("mean", f"# Take the mean.\n{head}")
    assert stub.named("mean_2").name == "mean_2"
    assert stub.named("mean_2").head == f"# Take the mean.\n{head.replace('mean', 'mean_2')}"


def test_stub_for_has_a_matching_signature_and_quotes_a_call() -> None:
    source = "def f(x):\n    return g(x,\n      1) + g(x, key='''\n''')"
    (missing,) = missing_functions(source, set())
    stub = stub_for(missing, source)
    comment, _, head = stub.head.partition("\n")
    assert comment == "# Called as g(x, 1)"
    assert head.startswith("def g(x")
    ast.parse(stub.unwritten)
    assert stub.signature == head.removeprefix("def ").removesuffix(":")


def test_signature_is_the_name_if_a_default_cannot_be_written() -> None:
    assert Stub("f", f"def f(a=0x{'f' * 5000}):").signature == "f"


@pytest.mark.parametrize(
    ("body", "define"),
    [
        ("return await (g(1))", "async def g("),
        ("return await  g(1)", "async def g("),
        ("return await g (1)", "async def g("),
        ("return g(1)  # await g(", "def g("),
        ("return await h(g(1))", "def g("),
    ],
)
def test_stub_for_is_a_coroutine_if_a_call_is_awaited(body: str, define: str) -> None:
    source = f"async def f():\n    {body}"
    (missing,) = missing_functions(source, {"h"})
    assert stub_for(missing, source).head.partition("\n")[2].startswith(define)


def test_stub_for_truncates_a_long_quote() -> None:
    source = f"def f(x):\n    return g({'x + ' * 200}x)"
    (missing,) = missing_functions(source, set())
    comment = stub_for(missing, source).head.partition("\n")[0]
    assert len(comment) < LONGEST_QUOTE + 20


def test_parse_instruction_replaces_lone_surrogates() -> None:
    assert parse_instruction("Do \ud800 it.").comment == "# Do ? it."


def test_parse_instruction_keeps_strings_above_a_stub() -> None:
    asked = parse_instruction('X = """\n# foo"""\n\n# About f.\ndef f(x):')
    assert asked.above == 'X = """\n# foo"""'
    assert asked.stub
    assert asked.stub.head == "# About f.\ndef f(x):"
    asked = parse_instruction('X = """\n# foo"""\ndef f(x):')
    assert asked.above == 'X = """\n# foo"""'


def test_parse_instruction_expands_leading_tabs_only() -> None:
    asked = parse_instruction('SEP = "a\tb"\n\ndef f(x):\n\t"""doc\t1"""')
    assert asked.above == 'SEP = "a\tb"'
    assert asked.stub
    assert asked.stub.head == 'def f(x):\n        """doc\t1"""'


@pytest.mark.parametrize(
    "source", ["X = {}\ndef f(x):", "def f(x={}):", "def f(x={}): ...", "def f(x):\n    y = {}"]
)
def test_parse_instruction_rejects_deep_nesting(source: str) -> None:
    with pytest.raises(BadRequestError, match="does not parse"):
        parse_instruction(source.format("-" * 19_000 + "x"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("\ndef f(x y):\n    '''Do.'''", r"Line 2 does not parse \(invalid syntax"),
        ("x = 1\ndef class(x):", r"Line 2 does not parse \(invalid syntax\)"),
        ("def f(x):\nx = 1", "Line 2 does not parse"),
        ("def f(x):\n    '''Do.'''\n    y =", "Line 3 does not parse"),
        ("!ls\n\nx = = 1\ndef f(x):", "Line 3 does not parse"),
        ("def f(x):\n    '''Do.'''\ng(3)", "Line 3 follows the function"),
        ("def f(x):\n    '''Do.'''\n!ls", "Line 3 does not parse"),
        ("def f(x): \\\n  y = 1", "does not parse with a body"),
        ("class Stack:\n    '''With push and pop.'''", "Only functions can be generated"),
        ("class Stack:", "Only functions can be generated"),
        ("def f(x): pass\n\nclass Stack:\n    def push(self):", "Only functions can be generated"),
        ("def a(x):\n    '''Double.'''\n\ndef b(x):\n    '''Triple.'''", "function in line 1 has no body"),
        ("x = 1\nasync def a(x): ...\n\ndef b(x): return 1", "function in line 2 has no body"),
    ],
)
def test_parse_instruction_reports_position_and_reason(source: str, message: str) -> None:
    with pytest.raises(BadRequestError, match=message) as refused:
        parse_instruction(source)
    assert refused.value.field == "source"


@pytest.mark.parametrize(
    "source",
    [
        "class average of the scores",
        "class labels: count them",
        "classify(x) finds the class",
        "x = 1\ny = x",
    ],
)
def test_parse_instruction_accepts_text_that_resembles_code(source: str) -> None:
    assert parse_instruction(source).comment.startswith("# ")


def test_parse_instruction_accepts_a_class_and_an_overload_above() -> None:
    above = "class A:\n    pass\n\n@overload\ndef f(x: int) -> int: ..."
    assert parse_instruction(f"{above}\n\ndef f(x):").above == above


@pytest.mark.parametrize("above", ["%matplotlib inline", "!ls *.csv", "files = !ls\nx = 1", "len?"])
def test_parse_instruction_keeps_magics_above_a_stub(above: str) -> None:
    asked = parse_instruction(
        f"import os\n{above}\n\n# Why?\n@cache\ndef f(x):\n    '''Is x\n    odd?\n    '''"
    )
    assert asked.above == f"import os\n{above}"
    assert asked.stub
    assert asked.stub.head == "# Why?\n@cache\ndef f(x):\n    '''Is x\n    odd?\n    '''"


def test_parse_instruction_rejects_a_cell_magic() -> None:
    with pytest.raises(BadRequestError, match="Remove `%%time` above"):
        parse_instruction("%%time\nimport os\ndef f(x):")


def test_parse_instruction_limits_the_length_after_tabs_are_expanded() -> None:
    with pytest.raises(BadRequestError, match="longer than"):
        parse_instruction("\t" * (STATEMENT // 8) + "x")
    assert parse_instruction("\t" * (STATEMENT // 8 - 1) + "x").comment == "# x"


@given(st.text(alphabet="a# \n", max_size=40))
def test_parse_instruction_dedents_like_textwrap(source: str) -> None:
    text = f"{source.rstrip()}."
    expected = [
        line.strip().lstrip("#").strip() if line.lstrip().startswith("#") else line.rstrip()
        for line in dedent(text).strip("\n").split("\n")
    ]
    assert parse_instruction(text).comment == "\n".join(f"# {line}".rstrip() for line in expected)
