"""Killing a process that writes a usage log loses at most one event and breaks no line."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import pytest

from jupyter_turbopilot.plugins.usage.events import Event, event_of

# Logs suggestions with a pause after each event, and prints a line before and after it: if the process is killed in
# between, the event may be lost. With `written`, it waits until the event is in the file, so that at most one
# is pending.
TYPES = """
import os, secrets, sys, time
from jupyter_turbopilot.protocol.reply import Item, Reply
from jupyter_turbopilot.protocol.request import Cell, Completion, Feedback
from jupyter_turbopilot.plugins.usage.log import UsageLog

path, session, pause, wait = sys.argv[1:]
secrets.token_urlsafe = lambda _: session

def size():
    return os.path.getsize(path) if os.path.exists(path) else 0

def tell(act, what):
    before = size()
    print("tells", flush=True)
    act(what)
    print("told", flush=True)
    while wait == "written" and size() == before:
        time.sleep(0.0005)
    time.sleep(float(pause))

study = UsageLog(path, text=True)
for number in range(100_000):
    request = Completion(cells=[Cell(source="x = ")], offset=4, trigger="automatic", client="editor")
    listen = study.requested(request, None)
    tell(listen, Reply(str(number), "m", (Item("values", 0.5, "stop"),), done=True))
    tell(study.receive, Feedback(id=str(number), event="shown", chars=6, length=6))
"""


class Typist:
    """A process that logs until it is killed."""

    def __init__(self, path: Path, session: str, pause: float, *, waits: bool) -> None:
        options = [str(path), session, str(pause), "written" if waits else ""]
        self._process = subprocess.Popen(
            [sys.executable, "-c", TYPES, *options], stdout=subprocess.PIPE, text=True
        )
        self._session = session
        self._said: list[str] = []
        self.reported = 0  # events
        self.unclear = 0  # events that were being logged when the process was killed

    def wait(self) -> None:
        """Wait for the first event."""
        self._said = [self._out.readline().strip() for _ in range(2)]
        assert self._said == ["tells", "told"]

    def kill(self) -> None:
        """Kill the process without waiting for its end."""
        self._process.send_signal(signal.SIGKILL)

    def end(self) -> None:
        """Count the events of the process."""
        self._said += [line.strip() for line in self._out if line.endswith("\n")]
        self._out.close()
        self._process.wait()
        self.reported = self._said.count("told")
        self.unclear = self._said.count("tells") - self.reported

    @property
    def _out(self) -> IO[str]:
        assert self._process.stdout
        return self._process.stdout

    def written(self, events: Iterable[Event]) -> list[int]:
        """Return the numbers of the events in a log, in the log's order."""
        own = f"{self._session}."
        return [
            2 * (int(event.id.removeprefix(own)) - 1) + (event.event == "shown")
            for event in events
            if event.event in {"requested", "shown"} and event.id.startswith(own)
        ]


def read(path: Path) -> tuple[list[Event], int]:
    """Return the events of a log, and the number of broken lines."""
    found = [event_of(line) for line in path.read_bytes().splitlines()]
    events = [event for event in found if event]
    return events, len(found) - len(events)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_killed_process_loses_at_most_one_event_and_breaks_no_line(tmp_path: Path) -> None:
    path = tmp_path / "study.jsonl"
    draw = random.Random(25)
    typists: list[Typist] = []
    for number in range(6):
        typists.append(typist := Typist(path, f"abc{number}", 0.001, waits=True))
        typist.wait()
        time.sleep(0.2 + draw.random() / 2)
        typist.kill()
        typist.end()
        events, broken = read(path)
        assert not broken
        for one in typists:
            found = one.written(events)
            assert found == [*range(len(found))], "in their order, and none is missing before another"
            assert one.reported - 1 <= len(found) <= one.reported + one.unclear
