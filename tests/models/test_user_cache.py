from pathlib import Path

from jupyter_turbopilot.models.user_cache import SPEED, measured_rate, remember_rate


def test_remember_rate_stores_the_latest_rate_privately(tmp_path: Path) -> None:
    assert measured_rate(tmp_path) == 0.0
    for rate in (3e9, 2e9):
        remember_rate(tmp_path, rate)
        assert measured_rate(tmp_path) == rate
    assert (tmp_path / SPEED).stat().st_mode & 0o077 == 0
