from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from jupyter_turbopilot.study import file as module
from jupyter_turbopilot.study.events import LOG
from jupyter_turbopilot.study.file import LogFile, files_of, is_ours, located, lock_path, older, reason_of
from jupyter_turbopilot.study.lines import events_of, line_of

HEAD = line_of({"schema": LOG, "event": "session", "session": "AbC3"})


def line(number: int) -> bytes:
    return line_of({"event": "shown", "n": number})


def numbers(path: Path) -> list[int]:
    """Return the numbers in all files of a log; every line has to be whole."""
    events, broken = events_of(part for file in files_of(path) for part in file.read_bytes().split(b"\n"))
    assert not broken
    return [event["n"] for event in events if event["event"] == "shown"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.jsonl"


def test_a_file_begins_with_its_head_which_stands_there_once_for_each_writer(path: Path) -> None:
    one, other = LogFile(path), LogFile(path)
    for number in range(3):
        one.append([line(number)], HEAD)
        other.append([line(number)], HEAD)
    assert path.read_bytes().count(HEAD) == 2
    assert path.read_bytes().startswith(HEAD)
    assert sorted(numbers(path)) == [0, 0, 1, 1, 2, 2]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_its_owner_can_read_it(path: Path) -> None:
    before = os.umask(0)
    try:
        LogFile(path).append([line(1)], HEAD)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(lock_path(path).stat().st_mode) == 0o600
    path.chmod(0o644)
    LogFile(path).append([line(2)], HEAD)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("left", [1, 5, len(HEAD) - 1, len(HEAD) + 3])
def test_after_a_line_that_was_cut_short_a_new_one_begins(path: Path, left: int) -> None:
    path.write_bytes((HEAD + line(1))[:left])
    path.chmod(0o600)
    log = LogFile(path)
    log.append([line(2)], HEAD)
    log.append([line(3)], HEAD)
    assert is_ours(path)
    events, broken = events_of(path.read_bytes().split(b"\n"))
    assert [event["n"] for event in events if event["event"] == "shown"][-2:] == [2, 3]
    assert broken <= 1
    assert sum(event["event"] == "session" for event in events) >= 1


def test_files_are_rotated_and_the_oldest_goes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 400)
    one, other = LogFile(path), LogFile(path)
    for number in range(300):
        (one, other)[number % 2].append([line(number)], HEAD)
    files = files_of(path)
    assert len(files) == module.KEPT + 1
    assert all(file.stat().st_size <= 400 + 2 * len(HEAD) for file in files)
    assert all(file.read_bytes().startswith(HEAD) for file in files)
    found = numbers(path)
    assert found == list(range(found[0], 300))
    assert 0 < found[0] < 300


@pytest.mark.parametrize("place", [1, 4, module.KEPT])
def test_rotation_moves_nothing_while_anything_in_its_way_is_none_of_ours(
    path: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    monkeypatch.setattr(module, "LIMIT", 200)
    theirs = older(path, place)
    theirs.write_text("a thesis")
    log = LogFile(path)
    for number in range(100):
        log.append([line(number)], HEAD)
    assert sorted(path.parent.iterdir()) == sorted([lock_path(path), path, theirs])
    assert theirs.read_text() == "a thesis"
    assert numbers(path) == list(range(100))
    assert f"{theirs.name} is no study log" in log.obstacle()
    theirs.unlink()
    assert not log.obstacle()


def test_a_live_file_that_cannot_be_moved_costs_one_older_file_and_no_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT", 200)
    for number in range(1, module.KEPT + 1):
        older(path, number).write_bytes(HEAD + line(-number))
    replace = Path.replace

    def refuse_live(self: Path, target: Path) -> Path:
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return replace(self, target)

    log = LogFile(path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse_live)
        for number in range(60):
            log.append([line(number)], HEAD)
    assert numbers(path) == [*range(1 - module.KEPT, 0), *range(60)]
    log.append([line(60)], HEAD)
    assert numbers(path) == [*range(1 - module.KEPT, 0), *range(61)]
    assert older(path, 1).exists(), "once it can be moved it is"


def test_a_rotation_that_was_killed_is_completed_by_the_next_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT", 200)
    for number in (1, 2, 3, 5, 6, 7, 8, 9):
        older(path, number).write_bytes(HEAD + line(-number))
    log = LogFile(path)
    before = 0
    while not older(path, 4).exists():
        log.append([line(before)], HEAD)
        before += 1
    assert numbers(path) == [*(-number for number in (9, 8, 7, 6, 5, 3, 2, 1)), *range(before)]


def test_a_file_that_cannot_be_moved_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(module, "LIMIT", 200)
    monkeypatch.setattr(Path, "replace", refuse)
    log = LogFile(path)
    for number in range(20):
        log.append([line(number)], HEAD)
    assert numbers(path) == list(range(20))


def make_link(path: Path) -> None:
    target = path.with_name("target")
    target.write_bytes(HEAD)
    path.symlink_to(target)


def make_theirs(path: Path) -> None:
    path.write_text("a thesis")


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes in folders")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_link, "it is a link"),
        (lambda path: path.symlink_to("/nowhere"), "it is a link"),
        (lambda path: path.mkdir(), "it is a folder"),
        (getattr(os, "mkfifo", None), "it is a pipe or a device, not a file"),
        (make_theirs, "it is another file, not a study log"),
    ],
    ids=["link", "dangling link", "folder", "pipe", "another file"],
)
def test_what_is_no_file_of_ours_is_left_alone_and_named(path: Path, make: object, reason: str) -> None:
    make(path)  # type: ignore[operator]
    before = sorted(path.parent.rglob("*"))
    content = path.with_name("target").read_bytes() if path.with_name("target").exists() else b""
    for act in (LogFile(path).check, lambda: LogFile(path).append([line(1)], HEAD)):
        with pytest.raises(OSError, match=reason) as error:
            act()
        assert reason_of(error.value) == reason
    assert [one for one in sorted(path.parent.rglob("*")) if one != lock_path(path)] == before
    assert (path.with_name("target").read_bytes() if content else b"") == content
    assert files_of(path) == []


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="there are no users")
def test_a_file_of_another_users_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LogFile(path).append([line(1)], HEAD)
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    with pytest.raises(OSError, match="belongs to another user"):
        LogFile(path).append([line(2)], HEAD)


def test_a_folder_that_is_missing_is_not_made(path: Path) -> None:
    log = LogFile(path.parent / "away" / "study.jsonl")
    for act in (log.check, lambda: log.append([line(1)], HEAD)):
        with pytest.raises(OSError, match="its folder does not exist"):
            act()
    assert not (path.parent / "away").exists()
    (path.parent / "away").mkdir()
    log.append([line(1)], HEAD)


def test_looking_changes_nothing(path: Path) -> None:
    LogFile(path).check()
    assert list(path.parent.iterdir()) == []
    path.write_bytes(HEAD)
    path.chmod(0o644)
    before = path.stat()
    LogFile(path).check()
    assert (path.stat().st_mode, path.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


@pytest.mark.parametrize("left", [None, b"", HEAD[:9]])
def test_a_log_begins_with_a_session_line_or_not_at_all(path: Path, left: bytes | None) -> None:
    if left is not None:
        path.write_bytes(left)
    with pytest.raises(OSError, match="has to begin with"):
        LogFile(path).append([line(1)], b"")
    assert (path.read_bytes() if path.exists() else None) == left
    LogFile(path).append([HEAD, line(1)], b"")
    assert numbers(path) == [1]


def test_a_folder_that_cannot_be_written_to_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_writable", lambda _: False)
    with pytest.raises(OSError, match="its folder cannot be written to"):
        LogFile(path).check()


def test_a_full_disk_is_named_and_leaves_no_half_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = LogFile(path)
    log.append([line(1)], HEAD)
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda handle, data: real(handle, data[:7]))
        with pytest.raises(OSError, match="No space left"):
            log.append([line(2)], HEAD)
    log.append([line(3)], HEAD)
    assert numbers(path) == [1, 3]
    monkeypatch.setattr(module, "free_room", lambda _: 0)
    with pytest.raises(OSError, match="No space left"):
        log.check()


def test_another_process_that_holds_it_is_waited_for_a_while(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    with FileLock(lock_path(path)), pytest.raises(TimeoutError) as error:
        LogFile(path).append([line(1)], HEAD)
    assert reason_of(error.value) == "another process has held it for too long"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("study.jsonl", "relative path"),
        ("a/b", "relative"),
        ("/a\0b", "valid path"),
        (Path.cwd().anchor, "it is a folder"),
    ],
)
def test_a_name_that_names_no_file_is_refused(name: str, reason: str) -> None:
    with pytest.raises(OSError, match=reason):
        located(name)


@pytest.mark.parametrize("name", [".", "..", "", Path.cwd().anchor, "...1"])
def test_a_folder_is_no_log(name: str) -> None:
    assert files_of(Path(name)) == []


def test_a_file_in_the_home_folder_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert located("~/study.jsonl") == tmp_path / "study.jsonl"


def test_another_file_that_gets_the_number_of_a_deleted_one_gets_a_head_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = line_of({"schema": LOG, "event": "session", "session": "ZyX9"})
    log, status = LogFile(path), os.fstat
    fixed = os.stat_result((0o100600, 7, 7, 1, os.getuid() if hasattr(os, "getuid") else 0, 0, 0, 0, 0, 0))
    monkeypatch.setattr(
        os, "fstat", lambda handle: os.stat_result((*fixed[:6], status(handle).st_size, 0, 0, 0))
    )
    log.append([line(1)], HEAD)
    path.write_bytes(theirs)
    log.append([line(2)], HEAD)
    log.append([line(3)], HEAD)
    assert path.read_bytes() == theirs + HEAD + line(2) + line(3)


def test_a_log_of_another_version_is_left_alone_and_its_version_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT", 10)
    later = HEAD.replace(b"study/v1", b"study/v12")
    path.write_bytes(later)
    for act in (LogFile(path).check, lambda: LogFile(path).append([line(1)], HEAD)):
        with pytest.raises(OSError, match="a log of version 12, and this release writes version 1"):
            act()
    assert path.read_bytes() == later
    assert files_of(path) == [path]


WRITES = """
import sys
from pathlib import Path
from jupyter_turbopilot.study import file
from jupyter_turbopilot.study.lines import line_of
from jupyter_turbopilot.study.events import LOG
file.LIMIT, file.KEPT, file.PATIENCE = 4000, 9, 60.0
log = file.LogFile(Path(sys.argv[1]))
for number in range(60):
    head = line_of({"schema": LOG, "event": "session", "session": sys.argv[2]})
    log.append([line_of({"event": "shown", "by": sys.argv[2], "n": number})], head)
"""


def test_several_processes_rotate_one_log_and_lose_nothing(path: Path) -> None:
    names = [f"{number:04}" for number in range(5)]
    started = [subprocess.Popen([sys.executable, "-c", WRITES, str(path), name]) for name in names]
    assert [process.wait(60) for process in started] == [0] * 5
    files = files_of(path)
    assert len(files) > 2
    events, broken = events_of(part for file in files for part in file.read_bytes().split(b"\n"))
    assert not broken
    for name in names:
        assert [one["n"] for one in events if one.get("by") == name] == list(range(60))
    for file in files:
        said: set[str] = set()
        for one in map(json.loads, file.read_text().splitlines()):
            if one["event"] == "session":
                said.add(one["session"])
            else:
                assert one["by"] in said, "each file says itself who writes to it"
