"""A study log whose one process is killed, at any moment: a line is lost at most, and none is broken."""

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

from jupyter_turbopilot.study.file import LogFile, files_of
from jupyter_turbopilot.study.lines import Event, events_of, line_of

# Suggestions as a person has them, after a pause each time. What it does is printed before and after: where it
# is killed in between, nobody knows whether it was done. With `written` it waits until what it told is in the
# file, so that at most one event is on its way, however slow the machine is.
TYPES = """
import sys, time
from jupyter_turbopilot.reply import Item, Reply
from jupyter_turbopilot.request import Cell, Completion, Feedback
from jupyter_turbopilot.study import file
from jupyter_turbopilot.study.log import Study

path, limit, pause, wait = sys.argv[1:]
file.LIMIT = int(limit)
append, lines, told = file.LogFile.append, 0, 0

def counted(self, some, head):
    global lines
    append(self, some, head)
    lines += len(some)

def tell(act, what):
    global told
    print("tells", flush=True)
    act(what)
    print("told", flush=True)
    told += 1
    while wait == "written" and lines < 1 + told:  # the session's line is before them
        time.sleep(0.0005)
    time.sleep(float(pause))

file.LogFile.append = counted
study = Study(path, text=True)
study.begin()
while not study._writer._logger:
    time.sleep(0.01)
print(study._session, flush=True)
for number in range(100_000):
    request = Completion(cells=[Cell(source="x = ")], offset=4, trigger="automatic", client="editor")
    listen = study.follow(request, lambda _: None)
    tell(listen, Reply(str(number), "m", (Item("values", 0.5, "stop"),), done=True))
    tell(study.receive, Feedback(id=str(number), event="shown", chars=6, length=6))
"""


class Typist:
    """A process that logs until it is killed."""

    def __init__(self, path: Path, limit: int, pause: float, *, waits: bool) -> None:
        options = [str(path), str(limit), str(pause), "written" if waits else ""]
        self._process = subprocess.Popen(
            [sys.executable, "-c", TYPES, *options], stdout=subprocess.PIPE, text=True
        )
        self._session = ""
        self._said: list[str] = []
        self.told = 0  # events
        self.unclear = 0  # events that it was about to tell when it was killed, or had just told

    def wait(self) -> None:
        """Wait until it has told its first event."""
        self._session, *self._said = (self._out.readline().strip() for _ in range(3))
        assert self._said == ["tells", "told"]

    def kill(self) -> None:
        """Kill it, and do not wait for its end."""
        self._process.send_signal(signal.SIGKILL)

    def end(self) -> None:
        """Count what it told until it ended."""
        self._said += [line.strip() for line in self._out if line.endswith("\n")]
        self._out.close()
        self._process.wait()
        self.told = self._said.count("told")
        self.unclear = self._said.count("tells") - self.told

    @property
    def _out(self) -> IO[str]:
        assert self._process.stdout
        return self._process.stdout

    def written(self, events: Iterable[Event]) -> list[int]:
        """Return which of its events are in a log, in their order there; the first one is 0."""
        own = f"{self._session}."
        return [
            2 * (int(event["id"].removeprefix(own)) - 1) + ["requested", "shown"].index(event["event"])
            for event in events
            if event.get("id", "").startswith(own)
        ]


def read(path: Path) -> tuple[list[Event], int]:
    return events_of(line for file in files_of(path) for line in file.read_bytes().split(b"\n"))


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_killed_while_it_writes_it_loses_a_line_at_most_and_breaks_none(tmp_path: Path) -> None:
    path = tmp_path / "study.jsonl"
    draw = random.Random(25)
    typists: list[Typist] = []
    for _ in range(6):
        typists.append(typist := Typist(path, 60_000, 0.001, waits=True))
        typist.wait()
        time.sleep(0.2 + draw.random() / 2)
        typist.kill()
        typist.end()
        events, broken = read(path)
        assert not broken
        for one in typists:
            found = one.written(events)
            assert found == [*range(len(found))], "in their order, and none is missing before another"
            assert one.told - 1 <= len(found) <= one.told + one.unclear
    LogFile(path).append([line_of({"event": "ended"})], b"")
    assert read(path)[1] == 0
