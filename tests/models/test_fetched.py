from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.models.folder import (
    CHECKPOINT_NOTE,
    CheckpointNote,
    checkpoint_path,
    checkpoints,
    is_complete,
    read_checkpoint_note,
    write_checkpoint_note,
)

WHOLE = CheckpointNote(
    "owner/model", ("config.json", "model.safetensors"), {"model.safetensors": "0" * 64}, complete=True
)
NAMES = st.sampled_from(["config.json", "tokenizer.json", "model-1.safetensors", "pytorch_model.bin"])


@given(
    st.builds(
        CheckpointNote,
        st.text(max_size=5),
        st.lists(NAMES, unique=True).map(tuple),
        st.just({}),
        st.booleans(),
    )
)
def test_a_note_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, note: CheckpointNote
) -> None:
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
def test_whatever_stands_in_a_note_it_is_read(
    tmp_path_factory: pytest.TempPathFactory, content: object
) -> None:
    folder = tmp_path_factory.mktemp("checkpoint")
    (folder / CHECKPOINT_NOTE).write_text(json.dumps(content))
    note = read_checkpoint_note(folder)
    assert note.digests.keys() <= set(note.files)
    assert isinstance(note.repository, str)


def test_a_checkpoint_is_complete_while_all_its_files_are_there(tmp_path: Path) -> None:
    assert not is_complete(tmp_path)
    write_checkpoint_note(tmp_path, WHOLE)
    (tmp_path / "config.json").write_text("{}")
    assert not is_complete(tmp_path)
    (tmp_path / "model.safetensors").write_text("")
    assert is_complete(tmp_path)
    write_checkpoint_note(tmp_path, CheckpointNote(WHOLE.repository, WHOLE.files))
    assert not is_complete(tmp_path)


@pytest.mark.parametrize(
    ("note", "verified"),
    [
        (WHOLE, True),
        (CheckpointNote("o/m", WHOLE.files, WHOLE.digests, complete=False), False),
        (CheckpointNote("o/m", WHOLE.files, {}, complete=True), False),
        (CheckpointNote("o/m", ("config.json",), {}, complete=True), False),
        (
            CheckpointNote("o/m", (*WHOLE.files, "model-2.safetensors"), WHOLE.digests, complete=True),
            False,
        ),
    ],
)
def test_a_checkpoint_is_verified_once_all_its_weights_were_compared(
    note: CheckpointNote, *, verified: bool
) -> None:
    assert note.verified == verified


def test_a_tokenizer_alone_is_no_checkpoint(tmp_path: Path) -> None:
    write_checkpoint_note(checkpoint_path(tmp_path, "owner/model"), WHOLE)
    write_checkpoint_note(
        checkpoint_path(tmp_path, "owner/words"), CheckpointNote("owner/words", ("tokenizer.json",))
    )
    assert [note.repository for note in checkpoints(tmp_path)] == ["owner/model"]
