from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.errors import ModelRefusedError, UnknownModelError
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.download import pull
from jupyter_turbopilot.models.model import Model
from jupyter_turbopilot.models.store import Store

from .source_server import SourceServer
from .test_download import HUB_PATH, model


def test_removing_frees_everything(server: SourceServer, store: Store, data: bytes) -> None:
    server.files[HUB_PATH] = data
    pull(store, model(data))
    assert store.remove(model(data)) >= len(data)
    assert [p.name for p in store.folder.iterdir() if not p.name.endswith(".lock")] == []
    assert store.remove(model(data)) == 0


def test_a_file_of_the_persons_own_is_never_removed(store: Store, tiny_model: Path) -> None:
    with pytest.raises(UnknownModelError):
        store.remove(find(str(tiny_model)))
    assert tiny_model.exists()


def test_a_damaged_file_is_not_called_right(store: Store, data: bytes) -> None:
    (store.folder / "m.gguf").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelRefusedError):
        store.verify(model(data))


def test_files_of_no_catalogue_are_listed_too(store: Store) -> None:
    (store.folder / "own.gguf").touch()
    assert [path.name for path in store.others()] == ["own.gguf"]


def test_a_file_may_be_deleted_while_it_is_looked_at(
    store: Store, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store.folder / "m.gguf").write_bytes(data)
    wanted = model(data)
    assert store.stored(wanted)
    has = Store.has

    def then_it_goes(self: Store, model: Model) -> bool:
        found = has(self, model)
        self.path(model).unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Store, "has", then_it_goes)
    assert store.stored(wanted) is None
    (store.folder / "m.gguf").write_bytes(data)
    assert store.remove(wanted) == 0
