import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.protocol.errors import ConversionError
from jupyter_turbopilot.util.files import (
    ROOM_TO_SPARE,
    describe_size,
    digest,
    free_room,
    is_readable,
    is_unfinished,
    is_writable,
    need_room,
    read_object,
    replace_content,
    write_atomically,
)


def test_write_atomically_keeps_the_old_file_after_an_interruption(tmp_path: Path) -> None:
    target = tmp_path / "a.gguf"
    target.write_text("old")

    def begin() -> None:
        with write_atomically(target, ConversionError) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.gguf"]


def test_write_atomically_reports_disk_errors(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").mkdir()
    with (
        pytest.raises(ConversionError, match=r"a\.gguf could not be written: "),
        write_atomically(tmp_path / "a.gguf", ConversionError) as partial,
    ):
        partial.write_text("whole")
    with (
        pytest.raises(ConversionError, match="could not be written: No space left"),
        write_atomically(tmp_path / "b.gguf", ConversionError),
    ):
        raise OSError(28, "No space left")


def test_need_room_keeps_spare_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": ROOM_TO_SPARE + 1000})()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert free_room(tmp_path / "no" / "such") == usage.free
    need_room(tmp_path / "a.gguf", 1000, ConversionError)
    with pytest.raises(ConversionError):
        need_room(tmp_path / "a.gguf", 1001, ConversionError)


def test_replace_content_keeps_the_old_file_after_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "note.json"
    target.write_bytes(b"old")
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        replace_content(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["note.json"]


def test_replace_content_flushes_a_file_before_it_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda file: steps.append(f"flush {os.fstat(file).st_size}"))
    monkeypatch.setattr(Path, "replace", lambda *_: steps.append("move"))
    replace_content(tmp_path / "a.json", b"new")
    assert steps == ["flush 3", "move"]


def test_replace_content_creates_a_private_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[int] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        modes.append(stat.S_IMODE(self.stat().st_mode))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    (tmp_path / "secret").write_bytes(b"readable by all")
    (tmp_path / "secret").chmod(0o644)
    replace_content(tmp_path / "secret", b"s", private=True)
    assert modes == [0o600]
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"7", b"[" * 100_000, b"\xff\xfe\x00"])
def test_read_object_returns_an_empty_object_for_other_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    assert read_object(path) == {}
    path.write_bytes(content)
    assert read_object(path) == {}
    path.write_bytes(b'{"a": 1}')
    assert read_object(path) == {"a": 1}


def test_is_unfinished_recognizes_names_of_replace_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    monkeypatch.setattr(Path, "replace", lambda self, _: names.append(self.name))
    replace_content(tmp_path / ".speed.json", b"{}")
    assert [is_unfinished(name) for name in (*names, ".speed.json", "a.new", "a.json.new")] == [
        True,
        *[False] * 3,
    ]


class _OpenElsewhereError(PermissionError):
    """The error of Windows for a file that another process has open."""

    winerror = 32


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> list[PermissionError]:
    """The errors of successive attempts to replace a file."""
    waiting: list[PermissionError] = []
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if waiting:
            raise waiting.pop()
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    return waiting


def test_move_waits_until_an_open_file_is_closed(tmp_path: Path, refusals: list[PermissionError]) -> None:
    target = tmp_path / "a.json"
    target.write_text("old")
    refusals += [_OpenElsewhereError(errno.EACCES, "in use")] * 3
    replace_content(target, b"new")
    assert target.read_text() == "new"
    assert not refusals


def test_move_does_not_wait_for_a_folder_of_another_user(
    tmp_path: Path, refusals: list[PermissionError]
) -> None:
    refusals += [PermissionError(errno.EACCES, "denied")] * 2
    with pytest.raises(PermissionError, match="denied"):
        replace_content(tmp_path / "a.json", b"new")
    assert len(refusals) == 1


def test_is_writable_works_before_the_folder_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_writable(tmp_path / "a" / "b")
    assert is_readable(tmp_path)
    assert not is_readable(tmp_path / "missing")
    asked: list[object] = []
    monkeypatch.setattr(os, "access", lambda path, _: asked.append(path))
    assert not is_writable(tmp_path / "a" / "b")
    assert asked == [tmp_path]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 MB"),
        (1, "0.1 MB"),
        (130_000, "0.1 MB"),
        (5_000_000, "5 MB"),
        (6_405_408, "6.4 MB"),
        (52_428_800, "52 MB"),
        (9_960_000, "10 MB"),
        (491_400_064, "491 MB"),
        (999_400_000, "999 MB"),
        (999_600_000, "1.0 GB"),
        (1_929_000_000, "1.9 GB"),
    ],
)
def test_describe_size_matches_the_front_end(size: int, words: str) -> None:
    assert describe_size(size) == words


@given(st.integers(1, 10**12))
def test_describe_size_is_accurate(size: int) -> None:
    number, unit = describe_size(size).split()
    message = float(number) * {"MB": 1e6, "GB": 1e9}[unit]
    assert 0.1 <= float(number) < 1000 or unit == "GB"
    assert message > 0
    assert abs(message - size) <= max(100_000, size / 20)


PLAIN = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner).map(tuple))  # fmt: skip


@given(PLAIN, PLAIN)
def test_digest_is_equal_only_for_equal_values(one: Any, other: Any) -> None:
    assert (digest(one) == digest(other)) == (repr(one) == repr(other))
    assert digest((one, other)) != digest(one, other)


def test_digest_is_the_same_in_every_process() -> None:
    message = "from jupyter_turbopilot.util.files import digest; print(digest(('ü' * 5000, 1, None)).hex())"
    found = {
        subprocess.run(
            [sys.executable, "-c", message],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {digest(("ü" * 5000, 1, None)).hex()}
