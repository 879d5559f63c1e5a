from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.errors import ConversionError
from jupyter_turbopilot.files import need_room, write_atomically


def test_a_file_is_in_its_place_when_it_is_finished_and_not_before(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.gguf"
    with write_atomically(target, ConversionError) as partial:
        partial.write_text("half")
        assert not target.exists()
    assert target.read_text() == "half"
    assert [path.name for path in target.parent.iterdir()] == ["a.gguf"]


def test_what_is_interrupted_leaves_what_was_there(tmp_path: Path) -> None:
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


def test_what_the_disk_says_is_said_in_words(tmp_path: Path) -> None:
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


def test_too_little_room_is_said_before_anything_is_written(tmp_path: Path) -> None:
    need_room(tmp_path / "no" / "such" / "a.gguf", 1000, ConversionError)
    with pytest.raises(ConversionError, match=r"and only .* MB are free\. Make room"):
        need_room(tmp_path / "a.gguf", 1 << 60, ConversionError)
