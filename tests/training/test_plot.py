from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.training.loop import Log
from jupyter_turbopilot.training.plot import SMOOTH, draw

LOG = Log(steps=3, losses=[(1, 3.0), (2, 2.0), (3, 1.0)], held=[(0, 3.5), (3, 1.5)])


def test_both_losses_are_drawn_the_same_each_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    first = draw(LOG, tmp_path / "a.svg")
    assert first == tmp_path / "a.svg"
    text = first.read_text()
    assert f"training, mean of {SMOOTH}" in text
    assert "held out" in text
    assert "<dc:date>" not in text


def test_without_matplotlib_nothing_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return ours(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert draw(LOG, tmp_path / "a.svg") is None
    assert not (tmp_path / "a.svg").exists()
