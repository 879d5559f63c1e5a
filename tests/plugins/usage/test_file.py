from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from msgspec.structs import replace

from jupyter_turbopilot.plugins.usage import file as module
from jupyter_turbopilot.plugins.usage.events import Dropped, Event, Shown, Typing, line_of
from jupyter_turbopilot.plugins.usage.file import (
    Reading,
    Writer,
    append,
    check,
    delete,
    is_log,
    locate,
    lock_path,
    opened,
)

from ...index.folders import until
from .test_events import LOGGED, SESSION

HEAD, *REST = map(line_of, LOGGED)
SHOWN = REST[1]


def write(path: Path, data: bytes = HEAD) -> None:
    with opened(path) as handle:
        append(handle, data)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.jsonl"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_log_is_readable_by_its_owner_only(path: Path) -> None:
    before = os.umask(0)
    try:
        write(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(lock_path(path).stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_opened_removes_the_permissions_of_others(path: Path) -> None:
    write(path)
    path.chmod(0o644)
    write(path, SHOWN)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither users nor pipes in folders")
@pytest.mark.parametrize("put", ["another user's file", "pipe"])
def test_opened_rejects_a_file_replaced_after_the_check(
    path: Path, put: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = os.getuid()

    def put_after_check(_: Path) -> None:
        if put == "pipe":
            os.mkfifo(path)
        else:
            path.write_bytes(HEAD)
            monkeypatch.setattr(os, "getuid", lambda: own + 1)

    monkeypatch.setattr(module, "check", put_after_check)
    with pytest.raises(OSError, match=r"not a file|belongs to another user"):
        write(path)
    assert put == "pipe" or path.read_bytes() == HEAD


def test_append_completes_a_truncated_line(path: Path) -> None:
    write(path, HEAD + SHOWN[:-9])
    write(path, SHOWN)
    assert path.read_bytes() == HEAD + SHOWN[:-9] + b"\n" + SHOWN


def make_link(path: Path) -> None:
    path.with_name("target").write_bytes(HEAD)
    path.symlink_to(path.with_name("target"))


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes in folders")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_link, "it is a link"),
        (lambda path: path.symlink_to("/nowhere"), "it is a link"),
        (lambda path: path.mkdir(), "a folder"),
        (getattr(os, "mkfifo", None), "a device, not a file"),
        (lambda path: path.write_text("a thesis"), "it is another file, not a usage log"),
        (lambda path: path.write_bytes(SHOWN + HEAD), "it is another file, not a usage log"),
    ],
    ids=["link", "dangling link", "folder", "pipe", "another file", "no session line"],
)
def test_opened_leaves_other_files_alone(path: Path, make: Callable[[Path], None], reason: str) -> None:
    make(path)
    files = {one: one.read_bytes() for one in path.parent.iterdir() if stat.S_ISREG(one.lstat().st_mode)}
    for act in (check, write):
        with pytest.raises(OSError, match=reason):
            act(path)
    assert all(one.read_bytes() == content for one, content in files.items())
    assert not is_log(path)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="there are no users")
def test_opened_rejects_a_file_of_another_user(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path)
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    with pytest.raises(OSError, match="belongs to another user"):
        write(path)


def test_append_leaves_no_partial_line_on_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path)
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda handle, data: real(handle, data[:7]))
        with pytest.raises(OSError, match="No space left"):
            write(path, SHOWN)
    write(path, SHOWN)
    assert path.read_bytes() == HEAD + SHOWN


def test_append_stops_at_the_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", len(HEAD + SHOWN))
    write(path)
    with pytest.raises(OSError, match="it is full"):
        write(path, 2 * SHOWN)
    write(path, SHOWN)
    for act in (check, write):
        with pytest.raises(OSError, match="it is full"):
            act(path)
    assert path.read_bytes() == HEAD + SHOWN


def test_opened_waits_briefly_for_another_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    write(path)
    with FileLock(lock_path(path)):
        for act in (write, delete):
            with pytest.raises(TimeoutError, match="another process has locked it for too long"):
                act(path)
    assert path.read_bytes() == HEAD


@pytest.mark.parametrize("name", ["study.jsonl", "a/b", "", "~no-such-user/study.jsonl"])
def test_located_rejects_a_relative_path(name: str) -> None:
    with pytest.raises(OSError, match=r"relative path|home folder"):
        locate(name)


@pytest.mark.parametrize("name", ["a\0b", "."])
def test_located_rejects_names_of_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match="not the path of a file"):
        locate(f"{tmp_path}/{name}" if name != "." else tmp_path.anchor)


def test_reading_counts_invalid_lines(path: Path) -> None:
    path.write_bytes(HEAD + b'{"event":"sho\n\n' + b"".join(REST) + SHOWN[:9])
    reading = Reading(path)
    for _ in range(2):
        assert list(reading) == LOGGED
        assert reading.broken == 3


def test_reading_finds_text_in_a_truncated_line(path: Path) -> None:
    for content, text in ((HEAD + REST[0], False), (HEAD + SHOWN, True), (HEAD + SHOWN[:-5], True)):
        path.write_bytes(content)
        reading = Reading(path)
        assert list(reading)
        assert reading.has_text == text


def typing(number: int) -> Typing:
    return Typing(1.0, "AbC3", requests=number, written=0)


def put(writer: Writer, *events: Event) -> None:
    for event in events:
        writer.put(lambda event=event: event)


@pytest.fixture
def write_log(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Writer]]:
    monkeypatch.setattr(module, "RETRY", 0.01)
    monkeypatch.setattr(module, "END_PATIENCE", 30.0)
    made: list[Writer] = []

    def make(name: str | Path = path) -> Writer:
        made.append(Writer(name, SESSION))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_writer_writes_a_changed_session_line(write_log: Callable[..., Writer], path: Path) -> None:
    writer = write_log()
    put(writer, *map(typing, range(600)))
    writer.session = changed = replace(SESSION, model="n")
    put(writer, typing(600), typing(601))
    writer.close()
    put(writer, typing(602))
    written = [SESSION, *map(typing, range(600)), changed, typing(600), typing(601)]
    assert list(Reading(path)) == written, "nothing is written after the end"


def test_writer_writes_the_queue_and_counts_losses_once_the_folder_exists(
    write_log: Callable[..., Writer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "WAITING", 10)
    path = tmp_path / "away" / "study.jsonl"
    writer = write_log(path)
    until(lambda: writer.error == "its folder does not exist")
    put(writer, *map(typing, range(50)))
    path.parent.mkdir()
    until(lambda: not writer.error)
    writer.close()
    *events, dropped = Reading(path)
    assert events == [SESSION, *map(typing, range(10))]
    assert isinstance(dropped, Dropped)
    assert (dropped.session, dropped.lines) == ("AbC3", 40)
    assert caplog.text.count("cannot be written") == 1
    assert str(tmp_path) not in caplog.text


def test_writer_drops_events_that_match_no_schema(
    write_log: Callable[..., Writer], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = write_log()
    put(writer, Shown(1.0, "home/ada/a.ipynb", chars=5, score=0.5), typing(2))
    writer.put(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    writer.close()
    events = list(Reading(path))
    assert [event for event in events if not isinstance(event, Dropped)] == [SESSION, typing(2)]
    assert sum(event.lines for event in events if isinstance(event, Dropped)) == 2
    assert "is not in the usage log" in caplog.text


@pytest.mark.parametrize("theirs", [[], [replace(SESSION, session="ZyX9")]], ids=["deleted", "replaced"])
def test_writer_starts_another_file_with_its_session(
    write_log: Callable[..., Writer], path: Path, theirs: list[Event]
) -> None:
    writer = write_log()
    put(writer, typing(1))
    until(lambda: is_log(path) and list(Reading(path)) == [SESSION, typing(1)])
    path.unlink()
    if theirs:
        path.write_bytes(b"".join(map(line_of, theirs)))
    put(writer, typing(2), typing(3))
    writer.close()
    assert list(Reading(path)) == [*theirs, SESSION, typing(2), typing(3)]
