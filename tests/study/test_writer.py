from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from msgspec.structs import replace

from jupyter_turbopilot.study import file
from jupyter_turbopilot.study import writer as module
from jupyter_turbopilot.study.events import Dropped, Event, Shown, Typing, event_of, line_of
from jupyter_turbopilot.study.file import lock_path
from jupyter_turbopilot.study.writer import Writer

from .test_events import SESSION


def typing(number: int) -> Typing:
    return Typing(1.0, "AbC3", requests=number, written=0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.jsonl"


@pytest.fixture
def write(path: Path) -> Iterator[Callable[..., Writer]]:
    made: list[Writer] = []

    def make(name: str | Path = path) -> Writer:
        made.append(Writer(name, SESSION))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY", 0.01)
    monkeypatch.setattr(module, "PATIENCE", 10.0)


def until(true: Callable[[], object]) -> None:
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError


def read(path: Path) -> list[Event]:
    events = [event_of(line) for line in path.read_bytes().splitlines()]
    assert all(events)
    return [event for event in events if event]


def put(writer: Writer, *events: Event) -> None:
    for event in events:
        writer.put(lambda event=event: event)


def test_writer_writes_events_in_their_order(write: Callable[..., Writer], path: Path) -> None:
    writer = write()
    put(writer, *map(typing, range(600)))
    writer.close()
    assert read(path) == [SESSION, *map(typing, range(600))]
    put(writer, typing(1))
    assert len(read(path)) == 601, "nothing is written after the end"


def test_writer_writes_an_event_at_once(write: Callable[..., Writer], path: Path) -> None:
    put(write(), typing(1))
    until(path.exists)
    until(lambda: read(path) == [SESSION, typing(1)])


def test_writer_writes_a_session_line_when_it_has_changed(write: Callable[..., Writer], path: Path) -> None:
    writer = write()
    put(writer, typing(1))
    writer.session = changed = replace(SESSION, model="n")
    put(writer, typing(2), typing(3))
    writer.close()
    assert read(path) == [SESSION, typing(1), changed, typing(2), typing(3)]


def test_put_does_not_wait_for_the_disk(
    write: Callable[..., Writer], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang, held = threading.Event(), threading.Event()

    def slowly(handle: int, data: bytes) -> None:
        held.set()
        assert hang.wait(30)
        file.append(handle, data)

    monkeypatch.setattr(module, "append", slowly)
    writer = write()
    put(writer, typing(0))
    assert held.wait(30)
    begun = time.perf_counter()
    put(writer, *map(typing, range(3 * module.WAITING)))
    assert time.perf_counter() - begun < 10
    hang.set()
    writer.close()
    events = read(path)
    assert len(events) == module.WAITING + 3
    assert [event.lines for event in events if isinstance(event, Dropped)] == [2 * module.WAITING]


def test_writer_writes_all_once_the_folder_exists(
    write: Callable[..., Writer], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "away" / "study.jsonl"
    writer = write(path)
    until(lambda: writer.trouble == "its folder does not exist")
    put(writer, typing(1), typing(2))
    time.sleep(0.1)
    assert caplog.text.count("cannot be written") == 1
    path.parent.mkdir()
    until(lambda: not writer.trouble)
    writer.close()
    assert read(path) == [SESSION, typing(1), typing(2)]
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert str(tmp_path) not in caplog.text


def test_writer_counts_what_is_lost_while_it_cannot_write(
    write: Callable[..., Writer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING", 10)
    path = tmp_path / "away" / "study.jsonl"
    writer = write(path)
    until(lambda: writer.trouble)
    put(writer, *map(typing, range(50)))
    path.parent.mkdir()
    until(lambda: path.exists() and isinstance(read(path)[-1], Dropped))
    *events, dropped = read(path)
    assert events == [SESSION, *map(typing, range(10))]
    assert isinstance(dropped, Dropped)
    assert (dropped.session, dropped.lines) == ("AbC3", 40)


@pytest.mark.parametrize("name", ["study.jsonl", "/a\0b"])
def test_writer_reports_a_name_that_names_no_file(write: Callable[..., Writer], name: str) -> None:
    writer = write(name)
    until(lambda: writer.trouble)
    put(writer, typing(1))
    begun = time.monotonic()
    writer.close()
    assert time.monotonic() - begun < 5


def test_writer_does_not_write_what_no_schema_allows(
    write: Callable[..., Writer], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = write()
    put(writer, Shown(1.0, "home/ada/a.ipynb", chars=5, score=0.5), typing(2))
    writer.put(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    writer.close()
    events = read(path)
    assert [event for event in events if not isinstance(event, Dropped)] == [SESSION, typing(2)]
    assert sum(event.lines for event in events if isinstance(event, Dropped)) == 2
    assert "is not in the study log" in caplog.text


def test_writer_begins_a_deleted_file_with_its_session(write: Callable[..., Writer], path: Path) -> None:
    writer = write()
    put(writer, typing(1))
    until(path.exists)
    until(lambda: len(read(path)) == 2)
    path.unlink()
    put(writer, typing(2))
    writer.close()
    assert read(path) == [SESSION, typing(2)]


def test_writer_adds_its_session_to_a_file_of_another_process(
    write: Callable[..., Writer], path: Path
) -> None:
    writer = write()
    put(writer, typing(1))
    until(path.exists)
    until(lambda: len(read(path)) == 2)
    theirs = replace(SESSION, session="ZyX9")
    path.unlink()
    path.write_bytes(line_of(theirs))
    put(writer, typing(2), typing(3))
    writer.close()
    assert read(path) == [theirs, SESSION, typing(2), typing(3)]


def test_writer_waits_for_another_process(
    write: Callable[..., Writer], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "PATIENCE", 0.05)
    with FileLock(lock_path(path)):
        writer = write()
        put(writer, typing(1))
        until(lambda: "another process" in writer.trouble)
    until(lambda: not writer.trouble)
    assert read(path) == [SESSION, typing(1)]
