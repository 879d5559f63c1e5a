from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _away_from_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a temporary folder: a manager without a server may leave a connection file in the current one."""
    monkeypatch.chdir(tmp_path)
