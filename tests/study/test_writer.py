from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from jupyter_turbopilot.study import writer as module
from jupyter_turbopilot.study.events import LOG
from jupyter_turbopilot.study.file import LogFile, lock_path
from jupyter_turbopilot.study.lines import Event, events_of, line_of
from jupyter_turbopilot.study.writer import Writer

SESSION: Event = {
    "schema": LOG,
    "t": 1.0,
    "event": "session",
    "session": "AbC3",
    "version": "0.1.0",
    "where": "server",
    "zone": 60,
    "text": False,
    "model": "m",
    "eagerness": "quiet",
}


def typing(number: int) -> Event:
    return {"t": 1.0, "event": "typing", "session": "AbC3", "requests": number, "written": 0}


def lost(lines: int) -> Event:
    return {"t": 1.0, "event": "dropped", "session": "AbC3", "lines": lines}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.jsonl"


@pytest.fixture
def write(path: Path) -> Iterator[Callable[..., Writer]]:
    made: list[Writer] = []

    def make(name: str | Path = path) -> Writer:
        made.append(Writer(name, lost))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY", 0.01)
    monkeypatch.setattr(module, "PATIENCE", 10.0)


def until(true: Callable[[], object]) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError


def read(path: Path) -> list[Event]:
    events, broken = events_of(path.read_bytes().split(b"\n"))
    assert not broken
    return events


def test_events_are_in_the_file_in_their_order(write: Callable[..., Writer], path: Path) -> None:
    writer = write()
    writer.put(lambda: SESSION)
    for number in range(600):
        writer.put(lambda number=number: typing(number))
    writer.close()
    assert read(path) == [SESSION, *map(typing, range(600))]
    writer.put(lambda: typing(1))
    assert len(read(path)) == 601, "after its end nothing is taken"


def test_an_event_is_in_the_file_at_once(write: Callable[..., Writer], path: Path) -> None:
    writer = write()
    writer.put(lambda: SESSION)
    until(path.exists)
    until(lambda: read(path) == [SESSION])


def test_who_tells_waits_for_nothing(
    write: Callable[..., Writer], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang, held = threading.Event(), threading.Event()
    append = LogFile.append

    def slowly(self: LogFile, *arguments: Any) -> None:
        held.set()
        assert hang.wait(10)
        append(self, *arguments)

    monkeypatch.setattr(LogFile, "append", slowly)
    writer = write()
    writer.put(lambda: SESSION)
    assert held.wait(10)
    begun = time.perf_counter()
    for number in range(3 * module.WAITING):
        writer.put(lambda number=number: typing(number))
    assert time.perf_counter() - begun < 1
    hang.set()
    writer.close()
    events = read(path)
    (dropped,) = (event["lines"] for event in events if event["event"] == "dropped")
    assert len(events) - 2 + dropped == 3 * module.WAITING
    assert len(events) <= module.WAITING + 2


def test_a_folder_that_comes_later_gets_everything(
    write: Callable[..., Writer], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "away" / "study.jsonl"
    writer = write(path)
    writer.begin()
    until(lambda: writer.trouble == "its folder does not exist")
    writer.put(lambda: SESSION)
    writer.put(lambda: typing(1))
    time.sleep(0.1)
    path.parent.mkdir()
    until(lambda: not writer.trouble)
    until(path.exists)
    writer.close()
    assert read(path) == [SESSION, typing(1)]
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2, "once, and when it is well"
    assert str(tmp_path) not in caplog.text


def test_what_is_lost_in_trouble_is_counted_and_the_count_is_written(
    write: Callable[..., Writer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", 10)
    path = tmp_path / "away" / "study.jsonl"
    writer = write(path)
    writer.put(lambda: SESSION, must=True)
    for number in range(50):
        writer.put(lambda number=number: typing(number))
    changed = SESSION | {"model": "n"}
    writer.put(lambda: changed, must=True)
    until(lambda: writer.trouble)
    path.parent.mkdir()
    until(lambda: path.exists() and read(path)[-1]["event"] == "dropped")
    kept = len(read(path)) - 3
    assert kept in {9, 10}, "as many as may wait, and perhaps the one that was just being checked"
    assert read(path) == [SESSION, *map(typing, range(kept)), changed, lost(50 - kept)]


@pytest.mark.parametrize("hangs", [False, True])
def test_of_session_lines_that_wait_in_a_row_the_newest_is_kept(
    write: Callable[..., Writer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, hangs: bool
) -> None:
    monkeypatch.setattr(module, "WAITING", 10)
    path = tmp_path / "away" / "study.jsonl"
    writer = write(path)
    if hangs:
        monkeypatch.setattr(Writer, "_check", lambda _: None)
    for number in range(20):
        writer.put(lambda number=number: typing(number))
    for number in range(100):
        writer.put(lambda number=number: SESSION | {"model": f"m{number}"}, must=True)
        time.sleep(0.001)
    until(lambda: writer.trouble)
    if hangs:
        assert len(writer._waiting) == 11
        monkeypatch.undo()
        monkeypatch.setattr(module, "RETRY", 0.01)
    until(lambda: writer._lines and writer._lines[-1] == line_of(SESSION | {"model": "m99"}))
    assert len(writer._lines) == 11


def test_a_name_that_names_no_file_is_said_and_nothing_waits(write: Callable[..., Writer]) -> None:
    writer = write("study.jsonl")
    writer.begin()
    until(lambda: "relative path" in writer.trouble)
    writer.put(lambda: SESSION)
    assert not writer._waiting


def test_an_event_that_no_schema_allows_is_not_written(
    write: Callable[..., Writer], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = write()
    writer.put(lambda: SESSION)
    writer.put(lambda: typing(1) | {"path": "home/ada/a.ipynb"})
    writer.put(lambda: typing(2))
    writer.close()
    assert read(path) == [SESSION, typing(2), lost(1)]
    assert "is not in the study log" in caplog.text


def test_a_program_that_disables_logging_does_not_stop_it(write: Callable[..., Writer], path: Path) -> None:
    logging.disable()
    try:
        writer = write()
        writer.put(lambda: SESSION)
        writer.close()
    finally:
        logging.disable(logging.NOTSET)
    assert read(path) == [SESSION]


def test_a_file_that_is_deleted_is_begun_anew_with_its_session(
    write: Callable[..., Writer], path: Path
) -> None:
    writer = write()
    writer.put(lambda: SESSION)
    until(path.exists)
    path.unlink()
    writer.put(lambda: typing(1))
    until(path.exists)
    writer.close()
    assert read(path) == [SESSION, typing(1)]


def test_without_threads_nothing_is_written_and_nothing_fails(
    write: Callable[..., Writer], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    writer = write()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        writer.put(lambda: SESSION)
    assert not path.exists()
    writer.put(lambda: typing(1))
    writer.close()
    assert read(path) == [SESSION, typing(1)]


def test_without_a_session_line_nothing_is_written_until_there_is_one(
    write: Callable[..., Writer], path: Path
) -> None:
    writer = write()
    writer.put(lambda: SESSION | {"version": 3})
    writer.put(lambda: typing(1))
    until(lambda: "has to begin with" in writer.trouble)
    assert not path.exists()


def test_an_error_that_stays_is_logged_once(
    write: Callable[..., Writer], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[object] = []

    def fail(*_: object) -> None:
        tried.append(None)
        raise ValueError

    monkeypatch.setattr(LogFile, "append", fail)
    writer = write()
    writer.put(lambda: SESSION)
    until(lambda: len(tried) > 5)
    assert sum("writing the study log failed" in record.message for record in caplog.records) == 1


def test_an_event_system_that_cannot_be_imported_is_said_and_what_waits_is_written_once_it_can(
    write: Callable[..., Writer],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "jupyter_events", None)
        writer = write()
        writer.begin()
        writer.put(lambda: SESSION)
        until(lambda: "an error that the server's log has (ModuleNotFoundError)" in writer.trouble)
        assert not path.exists()
    until(lambda: not writer.trouble)
    writer.close()
    assert read(path) == [SESSION]
    assert sum("writing the study log failed" in record.message for record in caplog.records) == 1


def test_the_end_waits_for_another_process_less_than_for_the_thread(
    write: Callable[..., Writer], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAST_PATIENCE", 0.02)
    with FileLock(lock_path(path)):
        writer = write()
        monkeypatch.setattr(Writer, "_wait", lambda _: True)
        writer.put(lambda: SESSION)
        begun = time.monotonic()
        until(lambda: "another process" in writer.trouble)
        assert time.monotonic() - begun < 1.5
