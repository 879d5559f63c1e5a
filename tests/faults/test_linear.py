"""All texts are processed in linear time: a running pattern cannot be interrupted."""

import ast
import gc
import importlib
import pkgutil
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import jupyter_turbopilot
from jupyter_turbopilot.analysis import (
    calls,
    kernel_context,
    languages,
    lexer,
    members,
    parsed_cell,
    resolve,
    syntax,
)
from jupyter_turbopilot.analysis.column_changes import changed_columns
from jupyter_turbopilot.analysis.statements import text_before_line
from jupyter_turbopilot.completer.cache.completion_cache import CacheKey, CompletionCache
from jupyter_turbopilot.context import notebook, private, ranking
from jupyter_turbopilot.fixes import files, keys
from jupyter_turbopilot.plugins.functions.parsing import with_body
from jupyter_turbopilot.plugins.functions.stub import Stub, parse_instruction
from jupyter_turbopilot.prompt.formats import keep_tail
from jupyter_turbopilot.protocol.engine_request import Token
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.request import Cell, Completion, Document
from jupyter_turbopilot.suggestion import trim
from jupyter_turbopilot.suggestion.gate import Gate, may_end
from jupyter_turbopilot.suggestion.scores import cursor_features
from jupyter_turbopilot.suggestion.surroundings import Surroundings, surroundings_of
from jupyter_turbopilot.suggestion.writing import TrimmedText, Verbatim

from .awkward import shapes
from .backtracking import Backtracking

SIZES = 3_000, 6_000, 12_000
SHORT = 0.1  # seconds; faster calls are not compared
GROWTH = 3  # for twice the text; a quadratic pattern takes four times as long
MEBIBYTE = 1024 * 1024
MOST_LINES = 100_000


def seconds(call: Callable[[str], Any], text: str) -> float:
    begun = time.thread_time()
    call(text)
    return time.thread_time() - begun


def is_linear(times: list[float]) -> bool:
    """Return whether the growth is linear; a single step may enter a slower branch."""
    return times[-1] < SHORT or any(later < GROWTH * earlier for earlier, later in pairwise(times))


def check(name: str, call: Callable[[str], Any]) -> None:
    texts = [shapes(size) for size in SIZES]
    for shape in texts[0]:
        for _ in range(5):
            times = [seconds(call, texts[0][shape])]
            # The smallest text reveals an exponential pattern before the largest one takes minutes.
            if times[0] < SHORT * 2:
                times.append(seconds(call, texts[2][shape]))
                if times[-1] >= SHORT:
                    times.insert(1, seconds(call, texts[1][shape]))
                if is_linear(times):
                    break
        else:
            milliseconds = ", ".join(f"{1000 * each:.1f}" for each in times)
            pytest.fail(f"{name} on {shape}: {milliseconds} ms")


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """Disable garbage collection, which would take longer than the measured calls."""
    gc.disable()
    yield
    gc.enable()


def patterns(package: ModuleType) -> Iterator[tuple[str, re.Pattern[Any]]]:
    seen: set[int] = set()

    def within(value: Any, name: str) -> Iterator[tuple[str, re.Pattern[Any]]]:
        if isinstance(value, re.Pattern):
            if id(value) not in seen:
                seen.add(id(value))
                yield name, value
        elif isinstance(value, tuple | list | set | frozenset | dict):
            for at, one in enumerate(value.values() if isinstance(value, dict) else value):
                yield from within(one, f"{name}[{at}]")

    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name.endswith(".ray.app"):  # Ray is installed in a separate environment
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            yield from within(value, f"{module.name}.{name}")


PATTERNS = dict(patterns(jupyter_turbopilot))


LITERAL = re.compile(r"[A-Za-z][\w ,:'`-]{2,}")  # text in a pattern
LONGER = 10_000, 20_000, 40_000
# Patterns with a repeat beside an alternation that is tried once at each character.
ONCE = {
    "jupyter_turbopilot.analysis.members._ASSIGNED",  # at each line
    "jupyter_turbopilot.context.notebook._HEADING",  # at each line
    "jupyter_turbopilot.context.private.ARMOUR",  # always matches
}


def test_package_patterns_are_found() -> None:
    assert len(PATTERNS) > 40
    assert "jupyter_turbopilot.context.private._FORMS[0]" in PATTERNS


def test_patterns_are_constants_of_modules() -> None:
    """Patterns that functions compile are not found; those may only contain escaped names."""
    folder = Path(jupyter_turbopilot.__file__).parent / "fixes"
    for path in folder.glob("*.py"):
        functions = [
            each for each in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(each, ast.FunctionDef)
        ]
        for function in functions:
            for node in ast.walk(function):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name("re"), attr=name)) if name != "escape":
                        assert "re.escape(" in ast.unparse(node), f"{path.name}: {ast.unparse(node)}"


@pytest.mark.parametrize("name", [name for name in PATTERNS if name not in ONCE])
def test_patterns_have_no_repeat_beside_one_of_the_same_characters(name: str) -> None:
    assert not Backtracking(PATTERNS[name]).slow()


@pytest.mark.parametrize(
    ("pattern", "slow"),
    [
        (r"exec\s[^\n|;&]{0,64}?\s\s*mysql", True),
        (r"exec\s[^\n|;&]{0,64}?\smysql", False),
        (r"sshpass[\s,]*[^\s]{4}", True),
        (r"sshpass[\s,]*+[^\s]{4,9}", False),
        (r"password.{0,128}?(?:or|default)", True),
        (r"\A.{0,128}?(?:or|default)", False),
        (r"(?:a+ ?)+b", True),
        (r"(?:a++ )+b", False),
        (r"\w*(?:aa|-b)", True),
        (r"(\s*)(\.\s*)?\s*x", True),
        (r"(?>\s*)\s*x", False),
        (rb"\s*\d*\s*x", True),
    ],
)
def test_backtracking_finds_repeats_beside_the_same_characters(pattern: str | bytes, slow: bool) -> None:
    assert bool(Backtracking(re.compile(pattern)).slow()) is slow


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_run_in_linear_time_on_their_own_text(name: str) -> None:
    pattern = PATTERNS[name]
    encoded = isinstance(pattern.pattern, bytes)
    source = pattern.pattern.decode() if isinstance(pattern.pattern, bytes) else pattern.pattern
    pieces = {*LITERAL.findall(source.replace("\\", ""))}
    for piece in {f"{piece}{end}" for piece in pieces for end in ("", "(", "'", '"')}:

        def time(size: int, piece: str = piece) -> float:
            text = (piece * (size // len(piece) + 1))[:size]
            return seconds(lambda text: [*pattern.finditer(text)], text.encode() if encoded else text)

        if time(LONGER[-1]) >= SHORT and not any(is_linear([*map(time, LONGER)]) for _ in range(5)):
            pytest.fail(f"{name} takes more than linear time on {piece!r}")


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_run_in_linear_time(name: str) -> None:
    pattern = PATTERNS[name]
    encoded = isinstance(pattern.pattern, bytes)

    def use(text: str) -> None:
        subject: Any = text.encode() if encoded else text
        for _ in pattern.finditer(subject):
            pass
        pattern.fullmatch(subject)

    check(name, use)


def write(writing: TrimmedText | Verbatim, text: str) -> None:
    """Generate a text like a model, which ends after some tokens."""
    step = max(8, len(text) // 16)
    for at in range(0, len(text), step):
        writing.take([Token(text[at : at + step].encode(), 0.9, 1)])
    writing.finish(whole=True)


def suggest(text: str) -> None:
    around = surroundings_of("", "", "multi", 200)
    write(TrimmedText(around, Gate(cursor_features(text, text, ()), 0.1), unasked=True), text)


def imports(text: str) -> str:
    return "".join(f"import {line}\n" for line in text.splitlines())


def below(text: str) -> Surroundings:
    return surroundings_of("", "", "multi", 200, [text])


def look_up(text: str) -> None:
    results = CompletionCache(2**24)
    place = CacheKey(("model", text), text)
    results.remember(
        place, [Token(text[at : at + 9].encode(), 0.9, 1) for at in range(0, len(text), 9)], ended=True
    )
    results.find(place)
    results.find(CacheKey(("model", text), text + text[:1]))


def missing_functions(text: str) -> None:
    with suppress(SyntaxError):
        calls.missing_functions(text, frozenset())


def read_instruction(text: str) -> None:
    with suppress(BadRequestError):
        parse_instruction(text)


FACTS = kernel_context.KernelContext({"df": kernel_context.ObjectInfo(type="DataFrame", columns=["a"])})
FUNCTIONS: dict[str, Callable[[str], Any]] = {
    "without_secrets": private.without_secrets,
    "looks_secret": private.looks_secret,
    "without_spread_secrets": private.without_spread_secrets,
    "is_private_path": private.is_private_path,
    "blocks": ranking.blocks,
    "chosen": lambda text: ranking.chosen(ranking.blocks(text), text, 1200, len),
    "describe": lambda text: kernel_context.describe(FACTS, text),
    "outline": lambda text: notebook.outline([text]),
    "cell_text": lambda text: notebook._cell_text("code", text, "python", "python"),
    "headings": lambda text: notebook._cell_text("markdown", text, "python", "python"),
    "bindings": resolve.bindings,
    "loose bindings": resolve.loose_bindings,
    "lex": lambda text: [*lexer.lex(text)],
    "unresolved": lambda text: resolve.unresolved(text[:1], text, resolve.Scope(names=frozenset("a"))),
    "missing_functions": missing_functions,
    "instruction": read_instruction,
    "stub": lambda text: read_instruction(f"def f(x):\n    {text}"),
    "body": lambda text: with_body(Stub("f", "def f(x):").beginning, text),
    "cell_magic": languages.cell_magic,
    "without_cell_magic": languages.without_cell_magic,
    "without_commands": languages.without_commands,
    "as_python": languages.as_python,
    "scan": lexer.scan,
    "parses": lambda text: syntax._unexpected(text[: syntax.STATEMENT]),
    "surroundings_of before": lambda text: surroundings_of(text, ""),
    "surroundings_of after": lambda text: surroundings_of("", text),
    "surroundings_of with cells": lambda text: surroundings_of("", "", earlier=[text, text]),
    "trim": lambda text: trim.trim(text, surroundings_of("", "", "multi", 200), final=True),
    "trim below the same": lambda text: trim.trim(text, below(text), final=False),
    "trim below imports": lambda text: trim.trim(imports(text), below(imports(text)[:-1]), final=False),
    "open_quote": lexer.open_quote,
    "outside": lambda text: lexer.outside(text, "'"),
    "end_of_line": lambda text: lexer.end_of_line(text[: len(text) // 2], text[len(text) // 2 :]),
    "balanced_length": lambda text: lexer.balanced_length(text, "))"),
    "closers_after before": lambda text: lexer.closers_after(text, "))"),
    "closers_after after": lambda text: lexer.closers_after("f(g(", "))" + text),
    "trim before the same": lambda text: trim.trim(text, surroundings_of("x", text), final=False),
    "changed_columns": changed_columns,
    "text_before_line": text_before_line,
    "cursor_features": lambda text: cursor_features(text, text, (text,)),
    "gate": suggest,
    "may_end": lambda text: may_end(text, text),
    "verbatim": lambda text: write(Verbatim((text[:1000], text[:7], "\n\n"), 4), text),
    "cache": look_up,
    "keep_tail": lambda text: keep_tail(list(text.encode()), 999),
    "missing labels": keys._missing_in,
    "listed labels": keys._listed,
    "path": files._path_in,
    "words": parsed_cell.identifiers_in,
    "members in R": lambda text: members._names(members._ASSIGNMENTS + members._BINDINGS, text),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_text_functions_run_in_linear_time(name: str) -> None:
    check(name, FUNCTIONS[name])


def body_of(shape: str, text: str) -> Completion:
    """Put a mebibyte of text into each text field of a request."""
    quarter = len(text) // 4
    cells = [
        Cell(source=text[:quarter]),
        Cell(source="# heading", type="markdown"),
        Cell(source="x = 1\n" + text[:quarter]),
    ]
    documents = [Document(path="other.py", source=text[:quarter]), Document(source=text[: quarter // 2])]
    active = Cell(source=f"import os\n{text[: quarter // 2]}\ny = x.{text[: quarter // 2]}")
    offset = len(active.source) if len(shape) % 2 else len(active.source) // 2
    return Completion(
        cells=[*cells, active, cells[0]], active=3, offset=offset, documents=documents, trigger="automatic"
    )


def lines_of(call: Callable[[], Any], most: float = MOST_LINES) -> int:
    """Count the Python lines that a call executes, `most` at the most."""
    lines = 0

    def trace(_frame: Any, event: str, _argument: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        assert lines < most
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return lines


def test_event_loop_runs_little_python_for_any_text() -> None:
    for shape, text in shapes(MEBIBYTE).items():
        if text.isascii():
            line = text.replace("\n", " ")
            assert lines_of(lambda line=line: surroundings_of(line, line)) < MOST_LINES, shape
            request = body_of(shape, text)
            assert lines_of(lambda request=request: notebook.text_before(request)) < MOST_LINES, shape
            above = [imports(text)]
            assert lines_of(lambda above=above: surroundings_of("", "", earlier=above)) < MOST_LINES, shape
