from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_turbopilot.completer.installed import Installed
from jupyter_turbopilot.request import Cell, Completion
from jupyter_turbopilot.shell.importing import imports_for
from jupyter_turbopilot.suggestion.imports import Found


@pytest.fixture(autouse=True)
def _everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Installed, "__call__", lambda *_, **__: Found.ANYWHERE)


def needed(text: str, **names: object) -> tuple[str, ...]:
    shell: Any = SimpleNamespace(user_ns=names)
    return imports_for(shell, Completion(cells=[Cell(source="axes = ")], offset=7), text)


def test_a_text_needs_the_imports_of_the_modules_that_the_session_lacks() -> None:
    assert needed("sns.heatmap(table)", table=[]) == ("import seaborn as sns",)
    assert needed("sns.heatmap(table)", table=[], sns=object()) == ()


def test_what_nobody_imports_needs_none() -> None:
    assert needed("nobody.knows(1)") == ()
