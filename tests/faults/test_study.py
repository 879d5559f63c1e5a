"""A study log whose one process is killed, at any moment: a line is lost at most, and none is broken."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jupyter_turbopilot.study.file import LogFile, files_of
from jupyter_turbopilot.study.lines import Event, events_of, line_of

# Suggestions as a person has them, one feedback every few milliseconds; each is printed once it is taken.
TYPES = """
import sys, time
from jupyter_turbopilot.reply import Item, Reply
from jupyter_turbopilot.request import Cell, Completion, Feedback
from jupyter_turbopilot.study import file
from jupyter_turbopilot.study.log import Study
file.LIMIT = int(sys.argv[2])
study = Study(sys.argv[1], text=True)
study.begin()
while not study._writer._logger:
    time.sleep(0.01)
print("begun", flush=True)
for number in range(100_000):
    request = Completion(cells=[Cell(source="x = ")], offset=4, trigger="automatic", client="editor")
    listen = study.follow(request, lambda _: None)
    listen(Reply(str(number), "m", (Item("values", 0.5, "stop"),), done=True))
    print(number, flush=True)
    time.sleep(0.003)
    study.receive(Feedback(id=str(number), event="shown", chars=6, length=6))
    print(number, flush=True)
    time.sleep(0.003)
"""


def read(path: Path) -> tuple[list[Event], int]:
    return events_of(line for file in files_of(path) for line in file.read_bytes().split(b"\n"))


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_killed_while_it_writes_it_loses_a_line_at_most_and_breaks_none(tmp_path: Path) -> None:
    path = tmp_path / "study.jsonl"
    draw = random.Random(25)
    said = written = 0
    for killed in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", TYPES, str(path), "20000"], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.2 + draw.random() / 2)
        process.send_signal(signal.SIGKILL)
        said += len([line for line in process.stdout if line.endswith("\n")])
        process.stdout.close()
        process.wait()
        events, broken = read(path)
        assert not broken
        before, written = written, sum(event["event"] in {"requested", "shown"} for event in events)
        assert said - (killed + 1) <= written <= said + killed + 1
        assert written > before
    LogFile(path).append([line_of({"event": "ended"})], b"")
    assert read(path)[1] == 0
