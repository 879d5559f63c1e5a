from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from jupyter_turbopilot.study import deleting as module
from jupyter_turbopilot.study.deleting import delete
from jupyter_turbopilot.study.events import LOG
from jupyter_turbopilot.study.file import LogFile, lock_path, older
from jupyter_turbopilot.study.lines import line_of

HEAD = line_of({"schema": LOG, "event": "session", "session": "AbC3"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of three files."""
    path = tmp_path / "study.jsonl"
    for number in range(3):
        older(path, number).write_bytes(HEAD)
    return path


def test_all_files_of_a_log_are_deleted_and_its_lock(path: Path) -> None:
    LogFile(path).append([HEAD], b"")
    older(path, 5).write_text("a thesis")
    assert delete(path) == (3, [])
    assert list(path.parent.iterdir()) == [older(path, 5)]


def test_nothing_is_deleted_while_another_process_holds_the_log(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    with FileLock(lock_path(path)), pytest.raises(TimeoutError):
        delete(path)
    assert all(older(path, number).exists() for number in range(3))


def test_what_cannot_be_deleted_is_returned_and_the_rest_goes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def refuse(self: Path, *, missing_ok: bool = False) -> None:
        if self == older(path, 1):
            raise PermissionError
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    assert delete(path) == (2, [older(path, 1)])
    assert older(path, 1).exists()


def test_a_log_is_deleted_on_a_file_system_without_locks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def refuse(*_: object) -> Iterator[None]:
        raise OSError(errno.ENOLCK, "its file system cannot lock files")
        yield

    monkeypatch.setattr(module, "locked", refuse)
    assert delete(path) == (3, [])


def test_a_log_in_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="its folder does not exist"):
        delete(tmp_path / "away" / "study.jsonl")
