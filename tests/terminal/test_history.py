"""A shell's session as context."""

from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_turbopilot.analysis.imports import ModuleLocation
from jupyter_turbopilot.completer.installed_modules import Installed
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.terminal.history import failed_inputs, imports_for, kernel_id_of, request_at


def a_shell() -> Any:
    return SimpleNamespace(history_manager=SimpleNamespace(input_hist_raw=[""]))


def test_failed_inputs_returns_inputs_whose_last_run_failed() -> None:
    shell = a_shell()
    history = shell.history_manager
    history.input_hist_raw = ["", "a()", "b()", "b()", "c()", "c()", "wait()"]
    history.exceptions = {2: {"ename": "NameError"}, 3: {"ename": "NameError"}, 4: {"ename": "NameError"}}
    history.exceptions[6] = {"ename": "KeyboardInterrupt"}
    assert failed_inputs(shell) == {"b()"}


def test_session_cells_excludes_failed_single_lines() -> None:
    shell = a_shell()
    shell.history_manager.input_hist_raw = ["", "x = 1", "pd.read_('x.csv')", "def f(): pass\nf(1)"]
    shell.history_manager.exceptions = {2: {"ename": "NameError"}, 3: {"ename": "TypeError"}}
    cells = request_at(shell, "p", 1).cells
    assert [cell.source for cell in cells] == ["x = 1", "def f(): pass\nf(1)", "p"]


@pytest.fixture(autouse=True)
def _everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Installed, "__call__", lambda *_, **__: ModuleLocation.ANYWHERE)


def needed(text: str, **names: object) -> tuple[str, ...]:
    shell: Any = SimpleNamespace(user_ns=names)
    return imports_for(shell, Completion(cells=[Cell(source="axes = ")], offset=7), text)


def test_imports_for_returns_imports_that_the_session_lacks() -> None:
    assert needed("sns.heatmap(table)", table=[]) == ("import seaborn as sns",)
    assert needed("sns.heatmap(table)", table=[], sns=object()) == ()


def test_kernel_id_of_is_read_from_the_connection_file() -> None:
    assert kernel_id_of(a_shell()) is None
    shell = a_shell()
    shell.kernel = SimpleNamespace(parent=SimpleNamespace(connection_file="/run/kernel-1a2b-3c.json"))
    shell.user_ns = {}
    assert kernel_id_of(shell) == "1a2b-3c"
    assert request_at(shell, "x", 1).kernel_id == "1a2b-3c"
