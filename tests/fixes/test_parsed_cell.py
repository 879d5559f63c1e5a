from __future__ import annotations

import ast

import pytest

from jupyter_turbopilot.fixes.parsed_cell import ParsedCell


@pytest.mark.parametrize("source", ["%%time\nx", "!ls\n%ls\nx", "é = !ls\r\n%ls\r\nf'{é}'; x", "\nx?\nx"])
def test_start_is_a_position_in_the_source(source: str) -> None:
    cell = ParsedCell(source)
    names = [node for node in ast.walk(cell.scopes.tree) if isinstance(node, ast.Name)]
    starts = [cell.start(name) for name in names if name.id == "x"]
    assert starts == [source.rindex("x")]


@pytest.mark.parametrize("source", ["%%bash\nx", "x +", "f'{x'", "x = 1\n" * 60_000])
def test_cell_that_does_not_parse_raises_syntax_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        ParsedCell(source)
