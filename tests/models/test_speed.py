from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_turbopilot.models.speed import rate, remember

from jupyter_turbopilot.models.personal import SPEED


def test_what_was_measured_is_remembered_and_the_latest_counts(tmp_path: Path) -> None:
    assert rate(tmp_path) == 0.0
    remember(tmp_path, 3e9)
    assert rate(tmp_path) == 3e9
    remember(tmp_path, 2e9)
    assert rate(tmp_path) == 2e9
    assert (tmp_path / SPEED).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"bytes_a_second": "x"}', '{"bytes_a_second": -1}'])
def test_a_damaged_note_is_no_measurement(tmp_path: Path, content: str) -> None:
    (tmp_path / SPEED).write_text(content)
    assert rate(tmp_path) == 0.0


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    remember(tmp_path / "file", 1e9)
    assert rate(tmp_path / "file") == 0.0


@given(st.floats(1, 1e15))
def test_any_speed_is_remembered_to_the_byte(tmp_path_factory: pytest.TempPathFactory, speed: float) -> None:
    folder = tmp_path_factory.mktemp("speed")
    remember(folder, speed)
    assert rate(folder) == round(speed)
