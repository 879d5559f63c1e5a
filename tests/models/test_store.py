import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.download import obtain
from jupyter_turbopilot.models.model import IndexParts, Model, Url
from jupyter_turbopilot.models.store import Store, unavailable
from jupyter_turbopilot.protocol.errors import DownloadError, UnknownModelError

from .source_server import SourceServer
from .test_download import HUB, HUB_PATH, model


def test_remove_refuses_a_users_own_file(store: Store, tiny_model: Path) -> None:
    with pytest.raises(UnknownModelError):
        store.remove(find(str(tiny_model)))
    assert tiny_model.exists()


def changed(data: bytes) -> bytes:
    """Return other bytes of the same size."""
    return data[:-1] + bytes([data[-1] ^ 1])


def test_store_verify_marks_a_damaged_file_until_it_changes(store: Store, data: bytes) -> None:
    wanted, path = model(data), store.folder / "m.gguf"
    path.write_bytes(changed(data))
    assert store.has(wanted)
    assert not store.verify(wanted)
    stored = store.stored(wanted)
    assert stored is not None
    assert (stored.damaged, stored.verified) == (True, False)
    assert not store.has(wanted)
    path.write_bytes(data)
    os.utime(path, ns=(0, 0))
    assert store.verify(wanted)
    stored = store.stored(wanted)
    assert stored is not None
    assert (stored.damaged, stored.verified) == (False, True)


@pytest.mark.parametrize("known", [{}, {"size": None}], ids=["by the catalogue", "by its note"])
def test_store_knows_a_file_of_another_size_as_damaged(
    server: SourceServer, store: Store, data: bytes, known: dict[str, Any]
) -> None:
    server.files[HUB_PATH] = data
    wanted = model(data, **known)
    obtain(store, wanted).write_bytes(data[:1000])
    stored = store.stored(wanted)
    assert stored is not None
    assert stored.damaged
    assert not store.has(wanted)
    assert [*store.others()] == [store.path(wanted)]  # the catalogue does not name it
    assert store.remove(wanted) > 1000
    assert not store.path(wanted).exists()


def test_store_marks_an_unreadable_file_without_a_known_digest(store: Store, data: bytes) -> None:
    wanted = model(data, sha256=None, size=None)
    store.path(wanted).write_bytes(data[:1000])
    assert store.has(wanted)
    assert not store.verify(wanted)
    assert not store.has(wanted)
    stored = store.stored(wanted)
    assert stored is not None
    assert stored.damaged


def test_store_reports_the_bytes_of_an_unfinished_download(
    server: SourceServer, store: Store, data: bytes
) -> None:
    server.files[HUB_PATH] = data
    server.cut[HUB_PATH] = 300_000
    assert store.received(model(data)) is None
    with pytest.raises(DownloadError):
        obtain(store, model(data))
    received = store.received(model(data))
    assert received is not None
    assert 0 < received < len(data)
    obtain(store, model(data))
    assert store.received(model(data)) is None


@pytest.mark.parametrize(
    ("changes", "engine", "command"),
    [
        ({}, "llama", "pull m"),
        ({"sources": (IndexParts((("w", "1"),), "/m"),)}, "llama", "pull --mirrors m"),
        ({}, "remote", "pull --engine llama m"),
        ({"engine": "transformers"}, "transformers", "pull --engine transformers m"),
        (
            {"sources": (Url("https://a.example/m.gguf?a=1&b=2"),)},
            "llama",
            "pull 'https://a.example/m.gguf?a=1&b=2'",
        ),
    ],
)
def test_unavailable_names_a_command_that_is_not_refused(
    changes: dict[str, Any], engine: str, command: str
) -> None:
    wanted = replace(Model("m", "m.gguf", (HUB,)), **changes)
    missing = unavailable(wanted, None, engine)
    assert missing.code == "model_missing"
    assert missing.message.endswith(f"run: jupyter turbopilot models {command}")
