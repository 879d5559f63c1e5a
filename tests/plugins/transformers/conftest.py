from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_turbopilot.plugins.transformers.checkpoint import TransformersOptions
from jupyter_turbopilot.plugins.transformers.engine import TransformersEngine

from . import checkpoints


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2 with random weights."""
    return checkpoints.write(tmp_path_factory.mktemp("qwen2"))


@pytest.fixture
def engine(checkpoint: Path) -> Iterator[TransformersEngine]:
    made = checkpoints.load(checkpoint, TransformersOptions(threads=1, sequence_bytes=1 << 22), name="tiny")
    yield made
    made.close()
