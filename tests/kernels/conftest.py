from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _away_from_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manager without a server writes connection files to the current folder, and one may stay behind."""
    monkeypatch.chdir(tmp_path)
