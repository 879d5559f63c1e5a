"""Texts of the program that name pages of the documentation."""

import ast

from tables import PAGE, file_of

from .pages import ROOT


def texts() -> list[str]:
    """Return all texts of the package that refer to its documentation, without docstrings."""
    found: list[str] = []
    for path in (ROOT / "jupyter_turbopilot").rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        found += [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
        ]
    return [text for text in found if "docs/" in text or "the documentation" in text]


def test_texts_name_pages_that_exist() -> None:
    titles = {title for text in texts() for title in PAGE.findall(text)}
    assert titles
    assert not [title for title in titles if not (ROOT / "docs" / file_of(title)).is_file()]


def test_texts_contain_no_paths_of_files_that_are_not_installed() -> None:
    assert not [text for text in texts() if ".md" in text]
