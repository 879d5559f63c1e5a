from __future__ import annotations

import json
from pathlib import Path

import pytest
from filelock import FileLock

from jupyter_turbopilot.models import folder as module
from jupyter_turbopilot.models.fetched import (
    CheckpointNote,
    checkpoint_path,
    read_checkpoint_note,
    write_checkpoint_note,
)
from jupyter_turbopilot.models.folder import (
    OWN,
    checkpoint_files,
    copies,
    copy_path,
    models_dir,
    note_path,
    others,
    ours,
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


def test_what_has_a_note_is_ours_and_what_a_person_put_there_is_not(tmp_path: Path) -> None:
    fetched, own, unknown = put(tmp_path, "a.gguf", "b.gguf", "c.gguf")
    write_note(fetched, "https://example.org/a.gguf")
    write_note(own, OWN)
    assert set(ours(tmp_path)) == {fetched, note_path(fetched), note_path(own)}
    assert {own, unknown} <= set(others(tmp_path))


def test_what_a_download_left_is_ours_once_it_does_not_run(tmp_path: Path) -> None:
    files = set(put(tmp_path, ".m.gguf.partial", ".m.gguf.lock"))
    files |= set(put(tmp_path, ".m.gguf.state", content='{"source": "https://example.org/m.gguf"}'))
    put(tmp_path, ".n.gguf.partial", ".n.gguf.state", content="somebody's")
    with FileLock(tmp_path / ".m.gguf.lock"):
        assert set(ours(tmp_path)) == set()
    assert set(ours(tmp_path)) == files


def test_copies_are_a_models_own(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    mine = copy_path(tmp_path, model, KEY)
    put(mine.parent, mine.name, f"m-2-{KEY}.gguf", "other.gguf")
    assert copies(tmp_path, model) == [mine]


def test_a_copy_is_ours_by_its_name_and_a_note_or_a_lock(tmp_path: Path) -> None:
    noted, locked, bare, _ = put(
        tmp_path / module.COPIES, f"a-{KEY}.gguf", f"b-{KEY}.gguf", f"c-{KEY}.gguf", "house.gguf"
    )
    write_note(noted, "a.gguf with 1 adapters")
    partial, lock = put(noted.parent, f".{noted.name}.partial", f"b-{KEY}.lock")
    write_note(bare.with_name("house.gguf"), OWN)
    assert set(ours(tmp_path)) == {noted, note_path(noted), partial, locked, lock}
    assert bare in set(others(tmp_path))


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (".", ".m.gguf.json"),
        (".", ".m.gguf.state"),
        ("tuned", ".m.gguf.json"),
        ("checkpoints/owner--name", ".fetched.json"),
    ],
)
def test_what_was_being_written_when_a_process_was_killed_is_ours(
    place: str, name: str, tmp_path: Path
) -> None:
    (left,) = put(tmp_path / place, f"{name}.0123abcd.new", content='{"half')
    put(tmp_path / place, f"{name}.new.txt", "mine.0123abcd.new", content="mine")
    assert list(ours(tmp_path)) == [left]


def test_of_a_checkpoint_what_is_noted_is_ours(tmp_path: Path) -> None:
    folder = checkpoint_path(tmp_path, "owner/model")
    folder.mkdir(parents=True)
    assert checkpoint_files(folder) == []
    write_checkpoint_note(folder, CheckpointNote("owner/model", ("config.json", "model.safetensors")))
    put(folder, "config.json", ".model.safetensors.partial", ".model.safetensors.state", ".lock", "notes.txt")
    assert {path.name for path in checkpoint_files(folder)} == {
        "config.json", ".model.safetensors.partial", ".model.safetensors.state", ".lock", ".fetched.json",
    }  # fmt: skip
    assert set(checkpoint_files(folder)) == set(ours(tmp_path))
    assert folder in set(others(tmp_path))


@pytest.mark.parametrize(
    "names", [["../../thesis.txt"], ["/etc/passwd"], [7], "config.json", None, [".hidden"]]
)
def test_a_note_names_nothing_outside_of_its_folder(names: object, tmp_path: Path) -> None:
    folder = checkpoint_path(tmp_path, "owner/model")
    put(folder, "config.json")
    put(folder, ".fetched.json", content=json.dumps({"files": names}))
    assert read_checkpoint_note(folder).files == ()
    assert [path.name for path in checkpoint_files(folder)] == [".fetched.json"]
