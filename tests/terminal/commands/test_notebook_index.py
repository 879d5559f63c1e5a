from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from jupyter_turbopilot.index import build
from jupyter_turbopilot.index.local_files import LocalFiles
from jupyter_turbopilot.index.paths import indexes, path_of
from jupyter_turbopilot.index.store import IndexStore

from ...index.notebooks import write
from .running import run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "work", "a.ipynb", "qqfrobnicate(1)")
    write(tmp_path / "work", "b.ipynb", "qqfrobnicate(2)")
    return tmp_path / "work"


def test_index_commands_build_and_describe_an_index(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    assert "there is no index" in run(capsys, "index", "info")[1]
    status, out, _ = run(capsys, "index", "rebuild", str(root))
    assert (status, out.startswith(f"{root}: 2 files, ")) == (0, True)
    place = path_of(LocalFiles(root).identity)
    assert indexes() == [place]
    status, out, _ = run(capsys, "index", "info")
    assert status == 0
    assert f"{root}: 2 files, 0." in out
    assert str(place) in out


def test_rebuild_reports_errors(
    capsys: pytest.CaptureFixture[str], root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    status, _, errors = run(capsys, "index", "rebuild", str(root / "missing"))
    assert (status, "is not a folder" in errors) == (2, True)
    monkeypatch.setattr(build, "free_room", lambda _: 0)
    status, _, errors = run(capsys, "index", "rebuild", str(root))
    assert (status, "No space left" in errors) == (1, True)
    (tmp_path / "jupyter_turbopilot_config.py").write_text("c.Turbopilot.notebook_index = False\n")
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    status, _, errors = run(capsys, "index", "rebuild", str(root))
    assert (status, "c.Turbopilot.notebook_index is False" in errors) == (1, True)
    assert "c.Turbopilot.notebook_index is False" in run(capsys, "index", "info")[1]


def test_rebuild_without_denied_paths_leaves_them_out_of_the_limited_index(
    capsys: pytest.CaptureFixture[str], root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    config = tmp_path / "jupyter_turbopilot_config.py"
    config.write_text("c.Turbopilot.denied_paths = ['b*']\n")
    run(capsys, "index", "rebuild", str(root))
    (limited,) = indexes()
    config.unlink()
    assert "2 files" in run(capsys, "index", "rebuild", str(root))[1]
    with closing(IndexStore(limited)) as store:
        assert set(store.stamps()) == {"a.ipynb"}


def test_info_describes_a_damaged_index(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    run(capsys, "index", "rebuild", str(root))
    place = indexes()[0]
    with place.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 100_000)
    assert "cannot be read" in run(capsys, "index", "info")[1]
