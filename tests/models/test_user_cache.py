from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.models.user_cache import SPEED, measured_rate, personal_dir, remember_rate


def test_personal_dir_is_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert personal_dir() == tmp_path / "jupyter-turbopilot"


def test_remember_rate_stores_the_latest_rate_privately(tmp_path: Path) -> None:
    assert measured_rate(tmp_path) == 0.0
    for rate in (3e9, 2e9):
        remember_rate(tmp_path, rate)
        assert measured_rate(tmp_path) == rate
    assert (tmp_path / SPEED).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"bytes_a_second": "x"}', '{"bytes_a_second": -1}'])
def test_measured_rate_ignores_a_damaged_file(tmp_path: Path, content: str) -> None:
    (tmp_path / SPEED).write_text(content)
    assert measured_rate(tmp_path) == 0.0


def test_remember_rate_ignores_an_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    remember_rate(tmp_path / "file", 1e9)
    assert measured_rate(tmp_path / "file") == 0.0
