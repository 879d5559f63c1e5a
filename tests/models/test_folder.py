from __future__ import annotations

import json
from pathlib import Path

import pytest
from filelock import FileLock

from jupyter_turbopilot.models.folder import (
    checkpoint_files,
    checkpoint_path,
    models_dir,
    note_path,
    ours,
    read_checkpoint_note,
    read_note,
    remove_with_note,
    write_note,
)

KEY = "0123456789ab"


def put(folder: Path, *names: str, content: str = "") -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return paths


def test_the_folder_is_the_persons_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TURBOPILOT_MODELS", str(tmp_path / "there"))
    assert models_dir() == tmp_path / "there"
    assert models_dir(str(tmp_path / "configured")) == tmp_path / "configured"
    monkeypatch.delenv("TURBOPILOT_MODELS")
    assert models_dir().name == "models"


def test_a_note_says_where_a_file_is_from_and_goes_with_it(tmp_path: Path) -> None:
    (path,) = put(tmp_path, "m.gguf", content="abc")
    write_note(path, "somewhere", size=3)
    assert read_note(path) == {"source": "somewhere", "size": 3}
    assert note_path(path).name == ".m.gguf.json"
    assert remove_with_note(path) > 3
    assert list(tmp_path.iterdir()) == []
    assert remove_with_note(path) == 0


def test_what_a_download_left_is_ours_once_it_does_not_run(tmp_path: Path) -> None:
    files = set(put(tmp_path, ".m.gguf.partial", ".m.gguf.lock"))
    files |= set(put(tmp_path, ".m.gguf.state", content='{"source": "https://example.org/m.gguf"}'))
    put(tmp_path, ".n.gguf.partial", ".n.gguf.state", content="somebody's")
    with FileLock(tmp_path / ".m.gguf.lock"):
        assert set(ours(tmp_path)) == set()
    assert set(ours(tmp_path)) == files


@pytest.mark.parametrize(
    "names", [["../../thesis.txt"], ["/etc/passwd"], [7], "config.json", None, [".hidden"]]
)
def test_a_note_names_nothing_outside_of_its_folder(names: object, tmp_path: Path) -> None:
    folder = checkpoint_path(tmp_path, "owner/model")
    put(folder, "config.json")
    put(folder, ".fetched.json", content=json.dumps({"files": names}))
    assert read_checkpoint_note(folder).files == ()
    assert [path.name for path in checkpoint_files(folder)] == [".fetched.json"]
