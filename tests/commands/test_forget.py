from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.llama import snapshot as state
from jupyter_turbopilot.models.personal import remember_rate

from .running import files, run

if TYPE_CHECKING:
    import pytest


def test_what_was_read_of_notebooks_can_be_forgotten_alone(
    capsys: pytest.CaptureFixture[str], own_folder: Path
) -> None:
    state.save(own_folder / "sequences", "key", [])
    remember_rate(own_folder, 1e9)
    assert run(capsys, "forget")[0] == 0
    assert files(own_folder) == {"speed.json"}
    assert "Nothing was kept" in run(capsys, "forget")[1]
