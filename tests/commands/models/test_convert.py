from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ..process import jupyter


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["no/where/at-all"], "neither a folder nor"),
        (["."], "There is no config.json"),
        (["{checkpoint}", "-o", "."], "is a folder"),
        (["{checkpoint}", "--shards", "8"], "for CodeGen alone"),
        (["{checkpoint}", "--tokenizer", "./none"], "neither a folder nor"),
    ],
)
def test_what_cannot_be_converted_is_said_and_leaves_nothing(
    arguments: list[str], reason: str, checkpoint: Path, tmp_path: Path
) -> None:
    done = jupyter(
        "models", "convert", *(one.format(checkpoint=checkpoint) for one in arguments), into=tmp_path
    )
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_damaged_checkpoint_ends_with_2_and_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "hf")
    data = (tmp_path / "hf" / "model.safetensors").read_bytes()
    (tmp_path / "hf" / "model.safetensors").write_bytes(data[:-100])
    done = jupyter("models", "convert", tmp_path / "hf", "-o", tmp_path / "model.gguf")
    assert done.returncode == 2
    assert "damaged or incomplete" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


def test_the_file_is_named_after_its_source_and_progress_is_shown(checkpoint: Path, tmp_path: Path) -> None:
    done = jupyter("models", "convert", checkpoint, into=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "tiny-qwen-f16.gguf\n"
    assert "100%" in done.stderr
    assert (tmp_path / "tiny-qwen-f16.gguf").is_file()
