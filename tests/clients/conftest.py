from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..serving import Server


@pytest.fixture(scope="session")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a tiny real model, and its key."""
    own = tmp_path_factory.mktemp("models") / "tiny.gguf"
    shutil.copy(tiny_model, own)
    started = Server(own)
    yield started
    started.stop()
