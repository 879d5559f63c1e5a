"""Random pairs of edits on real cells: each offered cell has the tree that the examples' difference gives."""

import ast
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jupyter_turbopilot.fixes.repeats import find, rule_of
from jupyter_turbopilot.protocol.fix import apply
from jupyter_turbopilot.protocol.request import EditedCell, FixCell, RepeatRequest

DATA = Path(__file__).parents[1] / "data"
PAIRS = 40  # of edits for each seed
# Old and new code, and code that is like the old one.
EDITS = [
    ("{a}[{b}:].mean(axis=0)", "average({a}[{b}:])", ["{a}[:{b}].mean(axis=0)", "{a}[::{b}].mean(axis=0)"]),
    ("f({a}, {b})", "g({b}, {a})", ["f({a})", "f(*{a}, {b})", "f({a}, x={b})", "h({a}, {b})"]),
    ("{a} - 10", "{a} - 12", ["10 - {a}", "{a} - 11", "-10"]),
    ("f({a}[{b}])", "f({a}.iloc[{b}])", ["f({a}[{b}:])", "f({a}({b}))", "g({a}[{b}])"]),
    ("{a} if {b} else 0", "where({b}, {a}, 0)", ["{b} if {a} else 1", "0 if {b} else {a}"]),
    ("[x for x in {a} if {b}]", "select({a}, {b})", ["[x for x in {a}]", "{{x for x in {a} if {b}}}"]),
    ("f(x={a}, y={b})", "f(x={a}, z={b})", ["f(y={b})", "g(x={a}, y={b})", "f(x={a}, y={b}, **c)"]),
    ("{a}.sum() + {b}", "add({a}.sum(), {b})", ["{b} + {a}.sum()", "{a}.sum(1) + {b}", "{a}.sum() - {b}"]),
    ("not {a}", "is_false({a})", ["-{a}", "~{a}"]),
    ("f'{{{a}:.2f}} {b}'", "f'{{{a}:.3f}} {b}'", ["f'{{{a}!r:.2f}} {b}'", "f'{{{a}}} {b}'"]),
]


class Hole(NamedTuple):
    """Two trees that differ."""

    first: Any
    last: Any


def tree_of(value: Any) -> Any:
    """Return a comparable tree."""
    if isinstance(value, ast.AST):
        fields = {
            name: each for name, each in ast.iter_fields(value) if name not in {"ctx", "kind", "type_comment"}
        }
        return type(value), *(tree_of(each) for each in fields.values())
    return [*map(tree_of, value)] if isinstance(value, list) else (type(value), repr(value))


def parsed(source: str) -> Any:
    return tree_of(ast.parse(source))


def common(first: Any, last: Any) -> Any:
    """Return the common tree of two; a part that differs is a hole."""
    if first == last:
        return first
    are_alike = type(first) is type(last) and isinstance(first, list | tuple) and len(first) == len(last)
    if are_alike and (isinstance(first, list) or first[0] == last[0]):
        return type(first)(map(common, first, last))
    return Hole(first, last)


def bound(pattern: Any, tree: Any, holes: dict[str, Any]) -> bool:
    """Return whether a tree has a pattern, and note the parts at its holes."""
    if isinstance(pattern, Hole):
        return bool(holes.setdefault(repr(pattern), tree) == tree)
    if type(pattern) is not type(tree) or not isinstance(pattern, list | tuple):
        return bool(pattern == tree)
    return len(pattern) == len(tree) and all(bound(*each, holes) for each in zip(pattern, tree, strict=True))


def filled(pattern: Any, holes: dict[str, Any]) -> Any:
    if isinstance(pattern, Hole):
        return holes.get(repr(pattern), pattern.last)
    return (
        type(pattern)(filled(each, holes) for each in pattern)
        if isinstance(pattern, list | tuple)
        else pattern
    )


def differing(old: Any, new: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the pairs of subtrees that contain the only difference, the largest first."""
    yield old, new
    if type(old) is type(new) and isinstance(old, list | tuple) and len(old) == len(new):
        different = [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]
        if len(different) == 1:
            yield from differing(*different[0])


def replaced(tree: Any, old: Any, new: Any) -> Iterator[Any]:
    """Yield the trees in which one part with the old pattern has the new one."""
    holes: dict[str, Any] = {}
    if bound(old, tree, holes):
        yield filled(new, holes)
    if isinstance(tree, list | tuple):
        for at, part in enumerate(tree):
            for other in replaced(part, old, new):
                yield type(tree)([*tree[:at], other, *tree[at + 1 :]])


def expressions() -> list[str]:
    found = set[str]()
    for path in DATA.glob("*.ipynb"):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            source = "".join(cell["source"])
            try:
                tree = ast.parse(source)
            except SyntaxError:
                continue
            nodes = (
                each
                for each in ast.walk(tree)
                if isinstance(each, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
            )
            found |= {
                text
                for each in nodes
                if (text := ast.get_source_segment(source, each)) and len(text) < 40 and text.isprintable()
            }
    return sorted(each for each in found if not set(each) & set("'\"{}"))


@pytest.mark.parametrize("seed", range(10))
def test_offered_cells_have_the_tree_of_the_difference(seed: int) -> None:
    chosen, parts = random.Random(seed), expressions()
    offered = 0
    for _ in range(PAIRS):
        old, new, like = chosen.choice(EDITS)
        wrapped = chosen.choice(["{}", "x = {}", "print({})", "y = [{}, 1]"])

        def made(code: str, wrapped: str = wrapped) -> str:
            return wrapped.format(code.format(a=chosen.choice(parts), b=chosen.choice(parts)))

        state = chosen.getstate()
        before = [made(old), made(old)]
        chosen.setstate(state)
        after = [made(new), made(new)]
        others = [made(chosen.choice([old, *like])) for _ in range(6)]
        cells = [FixCell(source=each) for each in [*after, *others]]
        earlier = EditedCell(cell=0, before=before[0], after=after[0])
        request = RepeatRequest(cells=cells, active=1, before=before[1], earlier=earlier)
        offer = find(request, rule_of(request))
        pairs = [[*differing(parsed(one), parsed(other))] for one, other in zip(before, after, strict=True)]
        for edit in offer.edits if offer else []:
            offered += 1
            source = cells[edit.cell].source or ""
            expected = (
                tree
                for (old_one, new_one), (old_two, new_two) in zip(
                    *(each[::-1] for each in pairs), strict=False
                )
                for tree in replaced(parsed(source), common(old_one, old_two), common(new_one, new_two))
            )
            assert parsed(apply(source, [edit])) in expected, (before, after, source, apply(source, [edit]))
    assert offered
