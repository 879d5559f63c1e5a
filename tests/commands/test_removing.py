from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.commands.removing import (
    NAMED,
    list_names,
    remove,
)

if TYPE_CHECKING:
    import pytest


def test_what_cannot_be_removed_is_returned(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    assert remove([tmp_path / "file", tmp_path / "gone", tmp_path / "folder"]) == [tmp_path / "folder"]
    assert not (tmp_path / "file").exists()


def test_many_files_are_named_in_part_and_none_not_at_all(capsys: pytest.CaptureFixture[str]) -> None:
    list_names("Left", [])
    assert capsys.readouterr().out == ""
    list_names("Left", [Path(f"{number:03}") for number in range(NAMED + 2)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Left:", "  000"]
    assert lines[-1] == "  and 2 more"
    assert len(lines) == NAMED + 2
