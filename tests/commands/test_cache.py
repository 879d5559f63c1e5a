from __future__ import annotations

from pathlib import Path

import pytest

from ..completer.results_file.answers import answers, open_file, texts
from .running import run


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the settings name."""
    path = tmp_path / "answers.db"
    (tmp_path / "jupyter_turbopilot_config.py").write_text(f"c.Turbopilot.results_file = {str(path)!r}\n")
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    return path


def fill(path: Path) -> None:
    database = open_file(path)
    database.add(answers(range(7)))
    database.close()


@pytest.mark.parametrize("action", ["info", "clear"])
def test_without_a_file_it_says_so_and_ends_well(capsys: pytest.CaptureFixture[str], action: str) -> None:
    status, out, _ = run(capsys, "cache", action)
    assert status == 0
    assert "No file is set" in out


def test_it_says_how_much_is_kept(capsys: pytest.CaptureFixture[str], named: Path) -> None:
    assert run(capsys, "cache", "info")[:2] == (0, f"{named}: nothing is kept yet.\n")
    assert not named.exists()
    fill(named)
    assert run(capsys, "cache", "info")[:2] == (0, f"{named}: 7 answers, 0.0 of at most 64 MB.\n")
    assert len(texts(named)) == 7


def test_every_answer_can_be_deleted(capsys: pytest.CaptureFixture[str], named: Path) -> None:
    assert run(capsys, "cache", "clear")[:2] == (0, "Nothing was kept.\n")
    fill(named)
    assert run(capsys, "cache", "clear")[:2] == (0, "7 answers removed.\n")
    assert texts(named) == []


def test_what_is_none_of_ours_is_named_and_left(capsys: pytest.CaptureFixture[str], named: Path) -> None:
    named.write_text("thesis")
    for action in ("info", "clear"):
        status, out, _ = run(capsys, "cache", action)
        assert status == 1
        assert "something else than answers" in out
    assert named.read_text() == "thesis"


def test_a_damaged_file_is_named_and_can_be_cleared(capsys: pytest.CaptureFixture[str], named: Path) -> None:
    fill(named)
    named.write_bytes(named.read_bytes()[:5000])
    status, out, _ = run(capsys, "cache", "info")
    assert status == 1
    assert "begins a new one" in out
    assert run(capsys, "cache", "clear")[0] == 0
    assert not named.exists()
