from __future__ import annotations

import ast
import importlib.metadata
from email.message import Message
from pathlib import Path

import pytest

from jupyter_turbopilot.util.documentation import PAGE, file_of, with_addresses

ROOT = Path(__file__).parents[2]
REPOSITORY = "Repository, git+https://github.com/OWNER/NAME.git"
TEXT = "see the Usage\n  log page of the documentation."


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


@pytest.mark.parametrize(
    ("version", "url", "shown"),
    [
        ("1.2.3", "", TEXT),
        ("1.2.3.dev4", REPOSITORY, TEXT),
        ("1.2.3+local", REPOSITORY, TEXT),
        ("1.2.3", REPOSITORY, "see https://github.com/OWNER/NAME/blob/v1.2.3/docs/usage-log.md."),
    ],
)
def test_with_addresses_uses_the_metadata_of_the_package(
    monkeypatch: pytest.MonkeyPatch, version: str, url: str, shown: str
) -> None:
    about = Message()
    about["Version"] = version
    if url:
        about["Project-URL"] = url
    monkeypatch.setattr(importlib.metadata, "metadata", lambda _: about)
    assert with_addresses(TEXT) == shown
    assert with_addresses("other text") == "other text"
