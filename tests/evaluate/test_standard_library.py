from __future__ import annotations

import ast

from jupyter_turbopilot.evaluate import standard_library


def test_every_module_is_a_notebook_of_functions_without_docstrings() -> None:
    notebooks = standard_library.notebooks()
    assert len(notebooks) >= 16  # as many as type at once
    assert len({notebook.name for notebook in notebooks}) == len(notebooks)
    for notebook in notebooks:
        for number in notebook.typed:
            function, *more = ast.parse(notebook.cells[number].source).body
            if not isinstance(function, ast.FunctionDef):
                assert number == 0  # the imports
                continue
            assert not more
            assert len(function.body) == 1 or not ast.get_docstring(function)
