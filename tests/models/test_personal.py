from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.models.personal import SPEED, measured_rate, personal_dir, remember_rate


def test_the_folder_is_this_persons_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert personal_dir() == tmp_path / "jupyter-turbopilot"


def test_the_latest_rate_is_kept_and_readable_to_its_owner_alone(tmp_path: Path) -> None:
    assert measured_rate(tmp_path) == 0.0
    for rate in (3e9, 2e9):
        remember_rate(tmp_path, rate)
        assert measured_rate(tmp_path) == rate
    assert (tmp_path / SPEED).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"bytes_a_second": "x"}', '{"bytes_a_second": -1}'])
def test_a_damaged_file_is_no_measurement(tmp_path: Path, content: str) -> None:
    (tmp_path / SPEED).write_text(content)
    assert measured_rate(tmp_path) == 0.0


def test_a_rate_that_cannot_be_written_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    remember_rate(tmp_path / "file", 1e9)
    assert measured_rate(tmp_path / "file") == 0.0
