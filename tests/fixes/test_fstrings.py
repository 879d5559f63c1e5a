from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings

from jupyter_turbopilot.fixes.fstrings import without_f_strings
from jupyter_turbopilot.suggestion.scopes import Scopes

from ..suggestion.modules import free_places, modules


def _names(source: str) -> list[tuple[str, int]]:
    scopes = Scopes(without_f_strings(source))
    names = [node for node in ast.walk(scopes.tree) if isinstance(node, ast.Name)]
    return sorted((name.id, scopes.span(name)[0]) for name in names)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x + f'{x}{{x}} x {x!r:>{x}} {x=} {x = !s}' + x", 7),
        ("f'x \\N{DASH} {x}'", 1),
        ("rf'\\N{x} {x}'", 2),
        ("f'\\{x}'", 1),
        ("('x' f'{x}'\n  # x\n  'x' f'x{x:%H:%M}')", 2),
        ("'x' \\\n f'{x}'", 1),
        ('f"""\n{x}\n  {[x for y in x if x != 1]}"""', 4),
        ('f\'{"x"}{x["x"]}{ {"x": x}[x] }\'', 3),
        ("f'{x:{x}.{x}}'", 3),
        ("f'{f\"{x} x\"}{x}'", 2),
        ("f'{(lambda x: x)(x)}'", 2),
        ("f'{x:=5}{(x := 1)}'", 2),
        ("f'{x, x}'", 2),
        ("f''; f'é' + x", 1),
    ],
)
def test_without_f_strings_keeps_names_at_their_positions(source: str, names: int) -> None:
    result = without_f_strings(source)
    assert len(result) == len(source)
    found = [(name, at) for name, at in _names(source) if name == "x"]
    assert len(found) == names
    assert all(source.startswith(name, at) for name, at in found)


@pytest.mark.parametrize("source", ["f'{x'", "f'}'", "f'{x'}'", "f'{x:{x'", "f'{x!r'", "f'x", "f'{a[\"}'"])
def test_malformed_f_string_raises_syntax_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        without_f_strings(source)


def test_deeply_nested_format_specification_raises_syntax_error() -> None:
    with pytest.raises(SyntaxError):
        without_f_strings("f'" + "{x:" * 50 + "}" * 50 + "'")


def test_source_without_f_strings_is_unchanged() -> None:
    source = "x = 'f{x}' 'y'  # f'{x}'\n%time\n"
    assert without_f_strings(source) == source


@given(modules())
@settings(max_examples=60, deadline=None)
def test_free_names_are_those_of_the_original(source: str) -> None:
    result = without_f_strings(source)
    assert len(result) == len(source)
    assert {name.id for name in Scopes(result).free} == {name for name, _, _ in free_places(source)}
