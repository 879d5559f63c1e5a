import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from msgspec.structs import replace

from jupyter_turbopilot.util.files import lock_path
from tests.index.folders import until
from turbopilot_research.usage import file as module
from turbopilot_research.usage.events import Event, line_of
from turbopilot_research.usage.file import Writer, check, is_log, older_file, read

from .test_events import LOGGED, SESSION

HEAD, *REST = map(line_of, LOGGED)
SHOWN = REST[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.jsonl"


def counted(number: int) -> Event:
    return Event("ended", 1.0, session="AbC3", requests=number)


def put(writer: Writer, *events: Event) -> None:
    for event in events:
        writer.put(lambda event=event: event)


@pytest.fixture
def write_log(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Writer]]:
    """Let a process write events."""
    monkeypatch.setattr(module, "RETRY", 0.01)
    monkeypatch.setattr(module, "END_PATIENCE", 30.0)
    made: list[Writer] = []

    def make(*events: Event, name: str | Path = path, closes: bool = True) -> Writer:
        made.append(Writer(name, SESSION))
        put(made[-1], *events)
        if closes:
            made[-1].close()
        return made[-1]

    yield make
    monkeypatch.setattr(module, "END_PATIENCE", 0.0)
    for one in made:
        one.close()


def error_of(write_log: Callable[..., Writer], name: str | Path) -> str:
    """Return why an event cannot be written."""
    writer = write_log(counted(1), name=name, closes=False)
    until(lambda: writer.error)
    return writer.error


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_log_is_readable_by_its_owner_only(write_log: Callable[..., Writer], path: Path) -> None:
    before = os.umask(0)
    try:
        write_log(counted(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(lock_path(path).stat().st_mode) == 0o600


@pytest.mark.skipif(os.name == "nt", reason="Windows has no users in folders")
@pytest.mark.parametrize("is_checked", [True, False])
def test_writer_rejects_a_file_of_another_user(
    write_log: Callable[..., Writer], path: Path, monkeypatch: pytest.MonkeyPatch, is_checked: bool
) -> None:
    path.write_bytes(HEAD)
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    if not is_checked:  # it is replaced after the check
        monkeypatch.setattr(module, "check", lambda _: None)
    assert "belongs to another user" in error_of(write_log, path)
    assert path.read_bytes() == HEAD


def test_writer_completes_a_truncated_line(write_log: Callable[..., Writer], path: Path) -> None:
    path.write_bytes(HEAD + SHOWN[:-9])
    write_log(counted(1))
    assert path.read_bytes() == HEAD + SHOWN[:-9] + b"\n" + HEAD + line_of(counted(1))


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
def test_writer_leaves_other_files_alone(
    write_log: Callable[..., Writer], path: Path, make: Callable[[Path], None], reason: str
) -> None:
    make(path)
    files = {one: one.read_bytes() for one in path.parent.iterdir() if stat.S_ISREG(one.lstat().st_mode)}
    with pytest.raises(OSError, match=reason):
        check(path)
    assert reason in error_of(write_log, path)
    assert all(one.read_bytes() == content for one, content in files.items())
    assert not is_log(path)


def test_writer_leaves_no_partial_line_on_a_full_disk(
    write_log: Callable[..., Writer], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(HEAD)
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda handle, data: real(handle, data[:7]))
        writer = write_log(counted(1), closes=False)
        until(lambda: writer.error)
        assert "No space left" in writer.error
    writer.close()
    assert path.read_bytes() == HEAD + HEAD + line_of(counted(1))


def test_writer_renames_a_log_at_the_limit(
    write_log: Callable[..., Writer], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older_file(path).write_bytes(HEAD + SHOWN)
    path.write_bytes(HEAD + line_of(counted(1)))
    monkeypatch.setattr(module, "LIMIT", path.stat().st_size)
    write_log(counted(2))
    assert path.read_bytes() == HEAD + line_of(counted(2))
    assert list(read(path)) == [SESSION, counted(1), SESSION, counted(2)]


def test_writer_keeps_a_foreign_file_with_the_name_of_the_older_log(
    write_log: Callable[..., Writer], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older_file(path).write_text("a thesis")
    path.write_bytes(HEAD + line_of(counted(1)))
    monkeypatch.setattr(module, "LIMIT", path.stat().st_size)
    assert "is not a usage log" in error_of(write_log, path)
    assert older_file(path).read_text() == "a thesis"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_writer_makes_an_existing_file_private(write_log: Callable[..., Writer], path: Path) -> None:
    path.touch(0o644)
    write_log(counted(1))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_writer_waits_briefly_for_another_process(
    write_log: Callable[..., Writer], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_PATIENCE", 0.05)
    path.write_bytes(HEAD)
    with FileLock(lock_path(path)):
        assert error_of(write_log, path) == "another process has locked it for too long"
    assert path.read_bytes() == HEAD


@pytest.mark.parametrize("name", ["study.jsonl", "a/b", "", "~no-such-user/study.jsonl", "a\0b"])
def test_writer_rejects_a_relative_path(write_log: Callable[..., Writer], name: str) -> None:
    error = error_of(write_log, name)
    assert "relative path" in error or "home folder" in error


def test_read_yields_none_for_invalid_lines(path: Path) -> None:
    path.write_bytes(HEAD + b'{"event":"sho\n\n' + b"".join(REST) + SHOWN[:9])
    assert list(read(path)) == [SESSION, None, None, *LOGGED[1:], None]


def test_writer_writes_the_queue_and_counts_losses_once_the_folder_exists(
    write_log: Callable[..., Writer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "WAITING", 10)
    path = tmp_path / "away" / "study.jsonl"
    writer = write_log(name=path, closes=False)
    until(lambda: writer.error == "its folder does not exist")
    put(writer, *map(counted, range(50)))
    path.parent.mkdir()
    until(lambda: not writer.error)
    writer.close()
    *events, dropped = read(path)
    assert events == [SESSION, *map(counted, range(10))]
    assert dropped == Event("dropped", dropped.t if dropped else 0, session="AbC3", lines=40)
    assert caplog.text.count("cannot be written") == 1
    assert str(tmp_path) not in caplog.text


def test_writer_drops_events_that_do_not_match_the_schema(
    write_log: Callable[..., Writer], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = write_log(Event("shown", 1.0, id="home/ada/a.ipynb"), counted(2), closes=False)
    writer.put(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    writer.close()
    put(writer, counted(3))  # nothing is written after the end
    events = [event for event in read(path) if event]
    assert [event for event in events if event.event != "dropped"] == [SESSION, counted(2)]
    assert sum(event.lines for event in events) == 2
    assert "is not in the usage log" in caplog.text


@pytest.mark.parametrize("theirs", [[], [replace(SESSION, session="ZyX9")]], ids=["deleted", "replaced"])
def test_writer_starts_another_file_with_its_session(
    write_log: Callable[..., Writer], path: Path, theirs: list[Event]
) -> None:
    writer = write_log(counted(1), closes=False)
    until(lambda: is_log(path) and list(read(path)) == [SESSION, counted(1)])
    path.unlink()
    if theirs:
        path.write_bytes(b"".join(map(line_of, theirs)))
    put(writer, counted(2), counted(3))
    writer.close()
    assert list(read(path)) == [*theirs, SESSION, counted(2), counted(3)]
