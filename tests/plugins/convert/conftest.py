from pathlib import Path

import pytest

from ...terminal.commands.running import jupyter


@pytest.fixture(scope="package")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from . import families

    folder = tmp_path_factory.mktemp("checkpoint") / "tiny-qwen"
    # Rows of 256, the block size of llama.cpp's K-quants.
    families.make("qwen2", folder, hidden_size=256, intermediate_size=256, num_hidden_layers=2)
    return folder


@pytest.fixture(scope="package")
def whole(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    done = jupyter("models", "convert", checkpoint, into=folder)
    assert done.returncode == 0, done.stderr
    return folder / "tiny-qwen-f16.gguf"
