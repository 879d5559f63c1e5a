from pathlib import Path

import pytest

from ...models.sources import server
from ...plugins.convert.conftest import checkpoint, whole

__all__ = ["checkpoint", "server", "whole"]


@pytest.fixture
def own(tiny_model: Path, models_folder: Path) -> str:
    (models_folder / "tiny.gguf").write_bytes(tiny_model.read_bytes())
    return str(models_folder / "tiny.gguf")


@pytest.fixture(autouse=True)
def _own_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protect the user's own files from removal."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
