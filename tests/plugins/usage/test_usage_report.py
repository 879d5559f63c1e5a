from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from jupyter_turbopilot.plugins.usage.events import Event
from jupyter_turbopilot.plugins.usage.usage_report import tables, write
from jupyter_turbopilot.plugins.usage.usage_statistics import LogStatistics

from .test_usage_statistics import SESSION, executed, requested, retained, shown, taken


def log(accepted: int = 3, model: str = "m") -> list[Event]:
    events: list[Event] = [replace(SESSION, model=model)]
    for number in range(10):
        events += [requested(number, doc=number, at=["after =", "in a word"][number % 2], ms=10 * number)]
        events.append(shown(number, 10))
        if number < accepted:
            events += [taken(number, 10), executed(number, 9)]
            events += [retained(number, 8, after=30), retained(number, 6, after=300)]
    return events


def test_tables_summarise_suggestion_outcomes() -> None:
    text = tables(LogStatistics([log()]), 1)
    assert "1 log, 10 requests, 10 suggestions shown, 1000 characters written." in text
    assert "95 % bootstrap intervals from 10 documents (keystrokes saved: from 1 session)" in text
    assert "fewer than 5 give none." in text
    assert "Keystrokes saved: 0.027 of the characters written" in text
    assert "| all | 10 | 3 | 0.300 (" in text
    assert "| 0.900 | 0.800 | 0.600 |" in text
    assert "| after = | 5 | 2 | 0.400 (" in text
    assert "| in a word | 5 | 1 | 0.200" in text
    assert "| 2:00 | 10 | 3 |" in text
    assert "median 40 ms" in text
    assert "could not be written" not in text


def test_write_creates_reproducible_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    paths = write(tmp_path / "new" / "report.md", LogStatistics([log()]), 1)
    assert [path.name for path in paths] == ["report.md", "report.svg"]
    assert "![report](report.svg)" in paths[0].read_text("utf-8")
    first = paths[1].read_bytes()
    assert b"acceptance by position" in first
    write(paths[0], LogStatistics([log()]), 1)
    assert paths[1].read_bytes() == first
    write(paths[0], LogStatistics([[]]), 1)
