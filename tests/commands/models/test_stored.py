from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.errors import NotWrittenError
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.download import pull
from jupyter_turbopilot.models.store import Store

from ..running import run


def test_a_path_is_printed_and_its_absence_is_the_status(
    capsys: pytest.CaptureFixture[str], own: str
) -> None:
    assert run(capsys, "models", "path", own)[:2] == (0, f"{own}\n")
    status, out, err = run(capsys, "models", "path", "smollm2-135m")
    assert (status, out) == (1, "")
    assert "models pull smollm2-135m" in err
    assert "is not on this machine" in run(capsys, "models", "path", f"{own}.gone.gguf")[2]


def test_a_pull_that_cannot_write_is_one_line_and_no_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TURBOPILOT_MODELS", str(tmp_path / "file" / "models"))
    status, out, err = run(capsys, "models", "pull", "smollm2-135m", "--mirrors")
    assert (status, out) == (1, "")
    assert "could not be written" in err
    assert len(err.strip().splitlines()) == 1
    # Another source would not help, and JupyterLab's notifications end after 140 characters.
    with pytest.raises(NotWrittenError) as refused:
        pull(Store(tmp_path / "file" / "models"), find("smollm2-135m"))
    assert refused.value.code == "not_written"
    assert len(refused.value.message) < 140
