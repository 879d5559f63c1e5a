from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.jupyter import runtime
from jupyter_turbopilot.protocol.errors import DisabledError
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.access import access_of_process, check_file


def test_check_file_denies_the_folders_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("exams", "notes"):
        (tmp_path / name).mkdir()
    server = runtime.Runtime("u", "s", 1, root=str(tmp_path))
    monkeypatch.setattr(runtime, "find", lambda: server)
    access = access_of_process(Turbopilot(denied_paths=["exams/**"]))
    monkeypatch.chdir(tmp_path / "notes")
    check_file(access)
    for check in (tmp_path / "exams" / "a.py", None):
        monkeypatch.chdir(tmp_path / "exams")
        with pytest.raises(DisabledError):
            check_file(access, check)


def test_check_file_obeys_the_administrators_switch() -> None:
    with pytest.raises(DisabledError):
        check_file(access_of_process(Turbopilot(enabled=False)))
