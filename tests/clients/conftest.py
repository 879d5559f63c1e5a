import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..serving import Server


def _copy(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = tmp_path_factory.mktemp("models") / "tiny.gguf"
    shutil.copy(tiny_model, own)
    return own


@pytest.fixture(scope="session")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a tiny real model, and its key."""
    started = Server(_copy(tiny_model, tmp_path_factory))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def expendable(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose model the tests may change; it has no network access."""
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    started = Server(_copy(tiny_model, tmp_path_factory), environment=nowhere)
    yield started
    started.stop()
