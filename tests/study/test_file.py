from __future__ import annotations

import os
import stat
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from jupyter_turbopilot.errors import BadRequestError, NotReadyError
from jupyter_turbopilot.study import file as module
from jupyter_turbopilot.study.events import line_of
from jupyter_turbopilot.study.file import Reading, append, check, delete, is_log, located, lock_path, opened

from .test_events import LOGGED

HEAD, *REST = map(line_of, LOGGED)
SHOWN = REST[1]


def write(path: Path, data: bytes = HEAD) -> None:
    with opened(path) as handle:
        append(handle, data)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.jsonl"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_log_can_be_read_by_its_owner_only(path: Path) -> None:
    before = os.umask(0)
    try:
        write(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(lock_path(path).stat().st_mode) == 0o600


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
        (lambda path: path.write_text("a thesis"), "it is another file, not a study log"),
        (lambda path: path.write_bytes(SHOWN + HEAD), "it is another file, not a study log"),
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
def test_opened_refuses_the_file_of_another_user(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path)
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    with pytest.raises(OSError, match="belongs to another user"):
        write(path)


def test_opened_does_not_create_a_missing_folder(path: Path) -> None:
    away = path.parent / "away" / "study.jsonl"
    for act in (check, write):
        with pytest.raises(OSError, match="its folder does not exist"):
            act(away)
    assert not away.parent.exists()


def test_check_names_a_folder_that_is_not_writable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_writable", lambda _: False)
    with pytest.raises(OSError, match="its folder cannot be written to"):
        check(path)


def test_check_changes_nothing(path: Path) -> None:
    check(path)
    assert not [*path.parent.iterdir()]


def test_append_leaves_no_half_line_on_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_opened_waits_for_another_process_only_a_while(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    write(path)
    with FileLock(lock_path(path)):
        for act in (write, delete):
            with pytest.raises(TimeoutError, match="another process has held it for too long"):
                act(path)
    assert path.read_bytes() == HEAD


def test_delete_removes_the_log_and_its_lock(path: Path) -> None:
    write(path)
    delete(path)
    assert not [*path.parent.iterdir()]


@pytest.mark.parametrize("name", ["study.jsonl", "a/b", "", "~nobody-of-this-name/study.jsonl"])
def test_located_refuses_a_relative_path(name: str) -> None:
    with pytest.raises(OSError, match=r"relative path|home folder"):
        located(name)


def test_located_finds_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert located("~/study.jsonl") == tmp_path / "study.jsonl"


def test_reading_counts_the_lines_that_match_no_schema(path: Path) -> None:
    path.write_bytes(HEAD + b'{"event":"sho\n\n' + b"".join(REST) + SHOWN[:9])
    reading = Reading(path)
    for _ in range(2):
        assert list(reading) == LOGGED
        assert reading.broken == 3


def test_reading_finds_text_also_in_a_line_that_is_cut_off(path: Path) -> None:
    for content, text in ((HEAD + REST[0], False), (HEAD + SHOWN, True), (HEAD + SHOWN[:-5], True)):
        path.write_bytes(content)
        reading = Reading(path)
        assert list(reading)
        assert reading.has_text == text


def test_reading_does_not_hold_a_large_log_in_memory(path: Path) -> None:
    path.write_bytes(HEAD + SHOWN * 50_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in Reading(path)) == 50_001
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["none.jsonl", ".", "..", "", Path.cwd().anchor])
def test_reading_refuses_what_is_no_log(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequestError, match=r"does not exist|is no study log"):
        Reading(tmp_path / name)


def test_reading_reports_a_log_that_disappears(path: Path) -> None:
    write(path)
    reading = Reading(path)
    path.unlink()
    with pytest.raises(NotReadyError, match="cannot be read: No such file"):
        list(reading)
