from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.models.user_cache import SPEED, measured_rate, remember_rate


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
