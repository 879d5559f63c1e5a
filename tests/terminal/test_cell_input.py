import pytest

from jupyter_turbopilot.terminal.cell_input import without_blank_end


@pytest.mark.parametrize(
    ("cell", "at_prompt", "in_notebook"),
    [
        ("y = np.lin", "y = np.lin", "y = np.lin"),
        ("y = np.lin\n", "y = np.lin", "y = np.lin"),
        ("y = np.lin\n\n\n", "y = np.lin", "y = np.lin"),
        ("y = np.lin\n    \n\n", "y = np.lin", "y = np.lin"),
        ("def f(x):\n    y = np.lin\n    ", "def f(x):\n    y = np.lin", "def f(x):\n    y = np.lin\n    "),
        ("def f(x):\n    ", "def f(x):\n    ", "def f(x):\n    "),
        ("def f(x): \n\n    \n    ", "def f(x): \n    ", "def f(x): \n    "),
        ("x = 1\n\ny = ", "x = 1\n\ny = ", "x = 1\n\ny = "),
    ],
)
def test_complete_ignores_empty_lines_at_the_end(cell: str, at_prompt: str, in_notebook: str) -> None:
    assert without_blank_end(cell, is_indented_by_prompt=True) == at_prompt
    assert without_blank_end(cell, is_indented_by_prompt=False) == in_notebook
