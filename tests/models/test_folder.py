import errno
import json
import os
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.models.folder import (
    CHECKPOINT_NOTE,
    COPIES,
    CheckpointNote,
    checkpoint_files,
    checkpoint_path,
    checkpoints,
    described,
    is_unreadable,
    models_dir,
    note_path,
    ours,
    read_checkpoint_note,
    read_note,
    remove_with_note,
    write_checkpoint_note,
    write_note,
)

WHOLE = CheckpointNote(
    "owner/model", ("config.json", "model.safetensors"), {"model.safetensors": "0" * 64}, complete=True
)
NAMES = st.sampled_from(["config.json", "tokenizer.json", "model-1.safetensors", "pytorch_model.bin"])


def put(folder: Path, *names: str, content: str = "") -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return paths


def test_models_dir_uses_the_setting_and_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TURBOPILOT_MODELS", str(tmp_path / "there"))
    assert models_dir() == tmp_path / "there"
    assert models_dir(str(tmp_path / "configured")) == tmp_path / "configured"
    monkeypatch.delenv("TURBOPILOT_MODELS")
    assert models_dir().name == "models"


def test_is_unreadable_distinguishes_missing_and_unreadable_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_unreadable(tmp_path)
    assert not is_unreadable(tmp_path / "missing")
    with monkeypatch.context() as patch:  # for root, every folder is readable
        patch.setattr(os, "access", lambda *_: False)
        assert is_unreadable(tmp_path)
        assert "ask its owner for access" in described(tmp_path)
        assert not is_unreadable(tmp_path / "missing")
    (tmp_path / "file").touch()
    assert not is_unreadable(tmp_path / "file")

    def forbidden(_: Path) -> None:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(Path, "stat", forbidden)  # a folder above it is closed
    assert is_unreadable(tmp_path / "below")


def test_remove_with_note_deletes_the_note(tmp_path: Path) -> None:
    (path,) = put(tmp_path, "m.gguf", content="abc")
    write_note(path, "somewhere", size=3)
    assert read_note(path) == {"source": "somewhere", "size": 3}
    assert note_path(path).name == ".m.gguf.json"
    assert remove_with_note(path) > 3
    assert list(tmp_path.iterdir()) == []
    assert remove_with_note(path) == 0


def test_ours_includes_files_of_stopped_downloads(tmp_path: Path) -> None:
    files = set(put(tmp_path, ".m.gguf.partial", ".m.gguf.lock"))
    files |= set(put(tmp_path, ".m.gguf.state", content='{"source": "https://example.org/m.gguf"}'))
    put(tmp_path, ".n.gguf.partial", ".n.gguf.state", content="another program's")
    with FileLock(tmp_path / ".m.gguf.lock"):
        assert set(ours(tmp_path)) == set()
    assert set(ours(tmp_path)) == files


def test_ours_includes_the_unfinished_copy_of_a_killed_process(tmp_path: Path) -> None:
    name = "m-0123456789ab"
    put(tmp_path / COPIES, f"{name}.lock", content="")
    lock = tmp_path / COPIES / f"{name}.lock"
    (unfinished,) = put(tmp_path / COPIES, f".{name}.gguf.partial")
    put(tmp_path / COPIES, ".theirs.gguf.partial")
    with FileLock(lock):
        assert unfinished not in set(ours(tmp_path))
    assert set(ours(tmp_path)) == {lock, unfinished}


@pytest.mark.parametrize(
    "names", [["../../thesis.txt"], ["/etc/passwd"], [7], "config.json", None, [".hidden"]]
)
def test_checkpoint_note_refers_to_no_file_outside_its_folder(names: object, tmp_path: Path) -> None:
    folder = checkpoint_path(tmp_path, "owner/model")
    put(folder, "config.json")
    put(folder, ".fetched.json", content=json.dumps({"files": names}))
    assert read_checkpoint_note(folder).files == ()
    assert [path.name for path in checkpoint_files(folder)] == [".fetched.json"]


def test_checkpoint_note_keeps_files_beside_an_unexpected_entry(tmp_path: Path) -> None:
    folder = checkpoint_path(tmp_path, "owner/model")
    put(folder, "model.bin")
    entries = {"files": ["model.bin", "../thesis.txt"], "digests": {"model.bin": "1", "other.bin": "2"}}
    put(
        folder, ".fetched.json", content=json.dumps({"repository": "owner/model", "complete": True} | entries)
    )
    assert read_checkpoint_note(folder) == CheckpointNote(
        "owner/model", ("model.bin",), {"model.bin": "1"}, complete=True
    )


@given(
    st.builds(
        CheckpointNote,
        st.text(max_size=5),
        st.lists(NAMES, unique=True).map(tuple),
        st.just({}),
        st.booleans(),
    )
)
def test_checkpoint_note_round_trips(tmp_path_factory: pytest.TempPathFactory, note: CheckpointNote) -> None:
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint_note(folder, note)
    assert read_checkpoint_note(folder) == note


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from(["repository", "files", "digests", "complete"]), json_values)
    | json_values
)
def test_checkpoint_note_accepts_any_content(
    tmp_path_factory: pytest.TempPathFactory, content: object
) -> None:
    folder = tmp_path_factory.mktemp("checkpoint")
    (folder / CHECKPOINT_NOTE).write_text(json.dumps(content))
    note = read_checkpoint_note(folder)
    assert note.digests.keys() <= set(note.files)
    assert isinstance(note.repository, str)


@pytest.mark.parametrize(
    ("note", "verified"),
    [
        (WHOLE, True),
        (CheckpointNote("o/m", WHOLE.files, WHOLE.digests, complete=False), False),
        (CheckpointNote("o/m", WHOLE.files, {}, complete=True), False),
        (CheckpointNote("o/m", ("config.json",), {}, complete=True), False),
        (CheckpointNote("o/m", (*WHOLE.files, "model-2.safetensors"), WHOLE.digests, complete=True), False),
    ],
)
def test_checkpoint_is_verified_once_all_weights_are(note: CheckpointNote, *, verified: bool) -> None:
    assert note.verified == verified


def test_checkpoints_omit_a_tokenizer_alone(tmp_path: Path) -> None:
    write_checkpoint_note(checkpoint_path(tmp_path, "owner/model"), WHOLE)
    write_checkpoint_note(
        checkpoint_path(tmp_path, "owner/words"), CheckpointNote("owner/words", ("tokenizer.json",))
    )
    assert [note.repository for note in checkpoints(tmp_path)] == ["owner/model"]
