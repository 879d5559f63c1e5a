import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.jupyter.pilot.library import store_of
from jupyter_turbopilot.models.folder import (
    CheckpointNote,
    aside_path,
    checkpoint_path,
    write_checkpoint_note,
)
from jupyter_turbopilot.plugins.transformers.checkpoint import TransformersOptions
from jupyter_turbopilot.plugins.transformers.kind import TransformersKind, load_engine
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling
from jupyter_turbopilot.protocol.errors import EngineMissingError, UnknownModelError
from jupyter_turbopilot.settings.config import Turbopilot

from ...models.source_server import SourceServer
from ...models.sources import server
from ...models.test_repositories import publish
from ...waiting import generated
from .checkpoints import write

__all__ = ["server"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("checkpoint") / "tiny")


def kind_with(**settings: Any) -> TransformersKind:
    chosen = Turbopilot(engine="transformers", **settings)
    return TransformersKind(chosen, store_of(chosen))


def test_find_accepts_folders_repositories_and_catalogue_names(checkpoint: Path) -> None:
    kind = kind_with()
    assert kind.find(str(checkpoint)).path == checkpoint
    assert kind.find("Qwen/Qwen2.5-Coder-0.5B").checkpoint == "Qwen/Qwen2.5-Coder-0.5B"
    assert kind.find("incoder-1b").checkpoint == "facebook/incoder-1B"


@pytest.mark.parametrize("spec", ["qwen2.5-coder-0.5b", "nothing", "a/b/c.gguf", "\0", "x" * 5000])
def test_find_explains_valid_names(spec: str) -> None:
    with pytest.raises(UnknownModelError, match="owner/repository of a checkpoint"):
        kind_with().find(spec)


def put(kind: TransformersKind, repository: str, *, complete: bool = True, **more: Any) -> Path:
    """Put a checkpoint where it would be downloaded to."""
    folder = checkpoint_path(kind.store.folder, repository)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text("weights")
    names = ("config.json", "model.safetensors")
    write_checkpoint_note(folder, CheckpointNote(repository, names, complete=complete, **more))
    return folder


def test_stored_returns_downloaded_checkpoints_only(checkpoint: Path, models_folder: Path) -> None:
    kind = kind_with()
    model = kind.find("owner/repository")
    assert kind.stored(model) is None
    folder = put(kind, "owner/repository")
    stored = kind.stored(model)
    assert stored
    assert stored.path == folder
    assert stored.size > len("weights")
    own = kind.stored(kind.find(str(checkpoint)))
    assert own
    assert not own.verified


def test_stored_is_verified_only_with_compared_digests(models_folder: Path) -> None:
    kind = kind_with()
    put(kind, "owner/plain")
    folder = put(kind, "owner/checked", digests={"model.safetensors": hashlib.sha256(b"weights").hexdigest()})
    plain, checked = kind.find("owner/plain"), kind.find("owner/checked")
    stored = [kind.stored(plain), kind.stored(checked)]
    assert [each and each.verified for each in stored] == [False, True]
    assert kind.verify(checked)
    (folder / "model.safetensors").write_text("changed")
    assert not kind.verify(checked)
    for unknown in (plain, kind.find("owner/nowhere")):
        with pytest.raises(UnknownModelError, match="No digests are known"):
            kind.verify(unknown)


def test_obtain_downloads_damaged_weights_again(server: SourceServer, models_folder: Path) -> None:
    weights = b"w" * 1000
    files = {"config.json": b"{}", "model.safetensors": weights}
    publish(server, "owner/repository", files)
    kind = kind_with()
    model = kind.find("owner/repository")
    file = kind.obtain(model) / "model.safetensors"
    file.write_bytes(b"x" * 1000)
    kind.obtain(model)
    assert file.read_bytes() == weights
    assert aside_path(file).read_bytes() == b"x" * 1000
    assert kind.verify(model)


def test_remove_deletes_only_the_download(models_folder: Path, tmp_path: Path) -> None:
    kind = kind_with()
    folder = put(kind, "owner/repository")
    freed = kind.remove(kind.find("owner/repository"))
    assert freed > len("weights")
    assert not folder.exists()
    assert kind.remove(kind.find("owner/repository")) == 0
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UnknownModelError, match="your own"):
        kind.remove(kind.find(str(tmp_path)))
    assert (tmp_path / "config.json").exists()


def test_models_lists_downloads_once(models_folder: Path) -> None:
    kind = kind_with()
    put(kind, "owner/repository")
    put(kind, "facebook/incoder-1B")
    for selected in ("incoder-1b", "facebook/incoder-1B", "owner/repository", "nothing"):
        names = [model.name for model in kind.models(selected)]
        assert names.count("owner/repository") == names.count("incoder-1b") == 1
        assert "facebook/incoder-1B" not in names
    assert kind.find("facebook/incoder-1B") == kind.find("incoder-1b")


def test_load_generates_with_the_limits_of_the_settings(checkpoint: Path) -> None:
    kind = kind_with(context_size=256)
    engine = kind.load(kind.find(str(checkpoint)), Cancel(), adapters_enabled=True)
    run = engine.start(EngineRequest(engine.vocabulary.tokenize("def f(x):\n"), Sampling(max_tokens=4)))
    (written,) = generated(engine, run)
    assert 0 < len(written) <= 4
    assert engine.context_size == 256
    engine.close(keep=False)


def test_load_reports_missing_llama_cpp_before_it_loads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(EngineMissingError, match="is not installed"):
        load_engine(tmp_path, TransformersOptions(), name="tiny")


def test_examine_reports_model_and_device(checkpoint: Path) -> None:
    findings = {one.name: one for one in kind_with(model=str(checkpoint)).examine()}
    assert "transformers on cpu, float32" in findings["engine"].text
    assert not any(one.problem for one in findings.values())
    (problem, *_) = kind_with(model="owner/nowhere").examine()
    assert problem.problem
    assert "models pull --engine transformers owner/nowhere" in problem.text
    (problem,) = kind_with().examine()
    assert "is not a checkpoint" in problem.text
