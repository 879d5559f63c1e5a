from __future__ import annotations

import os
from pathlib import Path
from threading import Timer

import pytest
from filelock import FileLock

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama.bindings import quantise
from jupyter_turbopilot.engine.llama.copying import Copying, make_copy
from jupyter_turbopilot.models.folder import COPIES
from jupyter_turbopilot.models.gguf import has_header
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec
from jupyter_turbopilot.models.tuning.merge import merged_copy, path_of
from jupyter_turbopilot.protocol.errors import CancelledError, ModelRefusedError
from jupyter_turbopilot.util.files import partial_path

from ...tiny_adapter import make
from .children import play

scripted = pytest.mark.skipif(os.name != "posix", reason="a shell script replaces the child process")


@pytest.fixture
def task(tmp_path: Path, tiny_model: Path) -> Copying:
    return Copying(str(tmp_path), str(tiny_model), (AdapterSpec(str(make(tmp_path / "a.gguf"))),), 1)


@pytest.fixture
def target(task: Copying) -> Path:
    """The path of the copy, in an empty folder."""
    target = path_of(Path(task.folder), Path(task.model), task.adapters)
    target.parent.mkdir()
    return target


def test_make_copy_writes_the_same_copy_as_a_pull(task: Copying, target: Path, tmp_path: Path) -> None:
    make_copy(task, target, Cancel())
    other = tmp_path / "pulled"
    pulled = merged_copy(other, Path(task.model), task.adapters, quantise)
    assert target.read_bytes() == pulled.read_bytes()
    assert [path.name for path in target.parent.glob(".*.partial")] == []


@scripted
@pytest.mark.parametrize("end", ["killed", "cancelled"])
def test_make_copy_leaves_no_unfinished_file(
    task: Copying, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    begun, cancel = tmp_path / "begun", Cancel()
    write = f"echo half > {partial_path(target)}; touch {begun}"
    play(tmp_path, monkeypatch, f"{write}; kill -KILL $$" if end == "killed" else f"{write}; exec sleep 60")
    if end == "killed":
        with pytest.raises(ModelRefusedError, match="out of memory") as refused:
            make_copy(task, target, cancel)
        assert refused.value.code == "memory"
    else:
        Timer(0.5, cancel.set, ["stopped"]).start()
        with pytest.raises(CancelledError):
            make_copy(task, target, cancel)
    assert begun.exists()
    assert [path.suffix for path in target.parent.iterdir()] == [".lock"]


@pytest.mark.parametrize("finished", [True, False])
def test_make_copy_waits_for_another_server(
    task: Copying, target: Path, tmp_path: Path, *, finished: bool
) -> None:
    partial_path(target).write_text("half")
    lock, cancel = FileLock(target.with_suffix(".lock"), thread_local=False), Cancel()
    pulled = merged_copy(tmp_path / "pulled", Path(task.model), task.adapters, quantise)

    def end() -> None:
        if finished:
            pulled.rename(target)
            lock.release()
        else:
            cancel.set("stopped")

    with lock:
        Timer(2.0, end).start()
        if finished:
            make_copy(task, target, cancel)
            assert has_header(target)
        else:
            with pytest.raises(CancelledError):
                make_copy(task, target, cancel)
            assert partial_path(target).read_text() == "half"  # the other one is writing it


def test_make_copy_explains_a_folder_in_the_way(task: Copying, tmp_path: Path) -> None:
    (tmp_path / COPIES).write_text("a file")
    target = path_of(tmp_path, Path(task.model), task.adapters)
    with pytest.raises(ModelRefusedError, match="could not be written"):
        make_copy(task, target, Cancel())
