"""The child processes of a process that is killed, as in tests/faults/test_child.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.test_child import end_a_parent, signals

PARENTS = {
    "program that sleeps": """
from turbopilot_research.evaluate.running.program import run_program
run_program("open('begun', 'w').close(); import time; time.sleep(60)", seconds=60)
""",
    "program in a C function": """
from turbopilot_research.evaluate.running.program import run_program
run_program("open('begun', 'w').close(); sum(range(10**12))", seconds=60)
""",
    "busy processors": """
from turbopilot_research.evaluate.command import keeping_busy
with keeping_busy(1):
    Path("begun").touch()
    time.sleep(60)
""",
}


@signals
@pytest.mark.parametrize("work", [*PARENTS])
def test_children_end_with_a_killed_parent(work: str, tmp_path: Path) -> None:
    end_a_parent(PARENTS[work], tmp_path)
