"""Fixtures for downloads: a source, a folder, a model's bytes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_turbopilot.models import sources
from jupyter_turbopilot.models.store import Store

from .source_server import SourceServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceServer]:
    """A server that acts as Hugging Face and the package index."""
    server = SourceServer()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr(sources, "pip_settings", lambda: {"index-url": f"{server.url}/simple"})
    yield server
    server.stop()


@pytest.fixture
def store(models_folder: Path) -> Store:
    """The model store of the test."""
    return Store(models_folder)


@pytest.fixture
def data(tiny_model: Path) -> bytes:
    """A small valid model."""
    return tiny_model.read_bytes()
