"""Killing a process that writes a usage log loses at most one event and breaks no line."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from turbopilot_research.usage.events import Event, event_of

# Logs suggestions, and prints a line before and after each event. It waits until an event is in the file, so that at
# most one is pending when the process is killed.
TYPES = """
import os, secrets, sys, time
from jupyter_turbopilot.protocol.reply import Item, Reply
from jupyter_turbopilot.protocol.request import Cell, Completion, Feedback
from turbopilot_research.usage.log import UsageLog

path, session = sys.argv[1:]
secrets.token_urlsafe = lambda _: session

def size():
    return os.path.getsize(path) if os.path.exists(path) else 0

def tell(act, what):
    before = size()
    print("tells", flush=True)
    act(what)
    print("told", flush=True)
    while size() == before:
        time.sleep(0.0005)
    time.sleep(0.001)

study = UsageLog(path, text=True)
for number in range(100_000):
    request = Completion(cells=[Cell(source="x = ")], offset=4, trigger="automatic", client="editor")
    listen = study.requested(request, None)
    tell(listen, Reply(str(number), "m", (Item("values", 0.5, "stop"),), done=True))
    tell(study.receive, Feedback(id=str(number), event="shown", chars=6, length=6))
"""


def log_until_killed(path: Path, session: str, seconds: float) -> list[str]:
    """Log in another process for a time after its first event, and return its lines."""
    command = [sys.executable, "-c", TYPES, str(path), session]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(2)]
        time.sleep(seconds)
        process.kill()
        return [*lines, *process.stdout]


def numbers(events: Iterable[Event], session: str) -> list[int]:
    """Return the numbers of the events of a session in a log, in the log's order."""
    return [
        2 * (int(event.id.removeprefix(f"{session}.")) - 1) + (event.event == "shown")
        for event in events
        if event.event in {"requested", "shown"} and event.id.startswith(f"{session}.")
    ]


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_killed_process_loses_at_most_one_event_and_breaks_no_line(tmp_path: Path) -> None:
    path, draw = tmp_path / "study.jsonl", random.Random(25)
    printed: dict[str, list[str]] = {}
    for number in range(6):
        session = f"abc{number}"
        printed[session] = log_until_killed(path, session, 0.2 + draw.random() / 2)
        read = [event_of(line) for line in path.read_bytes().splitlines()]
        events = [event for event in read if event]
        assert len(events) == len(read), "no line is broken"
        for each, lines in printed.items():
            found = numbers(events, each)
            assert found == [*range(len(found))], "in their order, and none is missing before another"
            assert lines.count("told\n") - 1 <= len(found) <= lines.count("tells\n")
