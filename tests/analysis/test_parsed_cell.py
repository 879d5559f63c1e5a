from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis import parsed_cell
from jupyter_turbopilot.analysis.parsed_cell import ParsedCell, identifiers_in
from jupyter_turbopilot.util import bounds
from jupyter_turbopilot.util.bounds import pieces, tenant_cache


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("x + f'{x}{{x}} x {x!r:>{x}} {x=} {x = !s}' + x", 7),
        ("f'x \\N{EM DASH} {x}'", 1),
        ("rf'\\N{x} {x}'", 2),
        ("('x' f'{x}'\n  # x\n  'x' f'x{x:%H:%M}')", 2),
        ("'x' \\\n f'{x}'", 1),
        ('f"""\n{x}\n  {[x for y in x if x != 1]}"""', 4),
        ('f\'{"x"}{x["x"]}{ {"x": x}[x] }\'', 3),
        ("f'{x:{x}.{x}}'", 3),
        ("f'{f\"{x} x\"}{x}'", 2),
        ("f'{(lambda x: x)(x)}'", 2),
        ("f'{x:=5}{(x := 1)}'", 2),
        ("f''; f'é' + x", 1),
        ("f'''ö\n{é(x,\n  x)}'''", 2),
    ],
)
def test_names_in_f_strings_have_exact_positions(source: str, names: int) -> None:
    cell = ParsedCell(source)
    found = [node for node in ast.walk(cell.scopes.tree) if isinstance(node, ast.Name) and node.id == "x"]
    assert len(found) == names
    assert all(source[slice(*cell.span(node))] == "x" for node in found)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="From Python 3.12 on, the positions are right")
def test_nested_f_string_with_wrong_positions_raises_syntax_error() -> None:
    with pytest.raises(SyntaxError):
        ParsedCell("f\"\"\"<ul class='a long list'>{f'''<li>{x\n}</li>'''}</ul>\"\"\"")


@pytest.mark.parametrize("source", ["%%bash\necho x", "x +", "f'{x'", "x = 1\n" * 60_000])
def test_cell_that_does_not_parse_raises_syntax_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        ParsedCell(source)


@given(st.text(alphabet="aé\u0301ﬁ1 \n.", max_size=60), st.integers(1, 9))
def test_identifiers_are_found_in_pieces_of_a_source(source: str, least: int) -> None:
    whole = identifiers_in(source)
    longest = max((len(name) for name in whole), default=0)
    scanned: list[str] = []

    def noted(text: str, end: re.Pattern[str]) -> Iterator[str]:
        for piece in pieces(text, end):
            scanned.append(piece)
            yield piece

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "_PIECE", least)
        patch.setattr(parsed_cell, "pieces", noted)
        with tenant_cache(f"{least} {source}"):  # not the result above
            assert identifiers_in(source) == whole
    assert all(len(piece) <= least + longest + 1 for piece in scanned)
    assert "".join(scanned) == source
