"""The child processes of a process that is killed, as in tests/faults/test_child.py."""

from __future__ import annotations

from pathlib import Path

from tests.faults.test_child import end_a_parent, signals

BUSY = """
from turbopilot_research.evaluate.command import keeping_busy
with keeping_busy(1):
    Path("begun").touch()
    time.sleep(60)
"""


@signals
def test_busy_processes_end_with_a_killed_parent(tmp_path: Path) -> None:
    end_a_parent(BUSY, tmp_path)
