"""Shared fixtures: isolated folders, a tiny real model and the default model."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.folder import COPIES, models_dir, note_path
from jupyter_turbopilot.models.user_cache import personal_dir

from .tiny_model import write_tiny_model

pytest_plugins = ["pytest_jupyter.jupyter_server"]

# Threads of PyTorch and llama.cpp wait for each other: on a busy machine, two are slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("default", deadline=None, max_examples=80, derandomize=True)
settings.load_profile("default")

ON_WINDOWS = "WIN_PD_OVERRIDE_LOCAL_APPDATA"  # platformdirs' folder for caches and data on Windows
_REAL_MODELS = models_dir()  # before the tests set another folder


def pytest_collection_finish() -> None:
    """Exclude the loaded modules from garbage collection, which would take half a second each time."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Redirect caches, data and configuration of shared servers to temporary folders."""
    # Background jobs of a shell and pytest-xdist workers ignore SIGINT, and child processes inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_DATA_HOME", str(data := tmp_path_factory.mktemp("data")))
        patch.setenv(ON_WINDOWS, str(data))
        patch.setenv("JUPYTER_CONFIG_DIR", str(config := tmp_path_factory.mktemp("config")))
        (config / "jupyter_turbopilot_config.py").write_text("c.Turbopilot.threads = 1\n")
        patch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
        yield


@pytest.fixture(autouse=True)
def _own_model_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the user's models, files, tokens and proxies from the tests."""
    monkeypatch.setenv("TURBOPILOT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv(ON_WINDOWS, str(tmp_path / "data"))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("URL", "AUTH", "ALLOW_HTTP"):
        monkeypatch.delenv(f"TURBOPILOT_ENGINE_{name}", raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real llama model with random weights and a byte vocabulary, under 2 MB."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The real default model; `make test` downloads it."""
    path = _REAL_MODELS / catalog()["qwen2.5-coder-0.5b"].file
    if not path.is_file():
        pytest.fail("The default model is not on the disk. Run: jupyter turbopilot models pull --mirrors")
    return path


@pytest.fixture(scope="session")
def default_models(default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with only the default model, and with its copies, which take minutes to make."""
    folder = tmp_path_factory.mktemp("models")
    for path in (default_model, note_path(default_model), default_model.parent / COPIES):
        (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture
def own_folder() -> Path:
    """The user's data folder in this test."""
    return personal_dir()


@pytest.fixture
def models_folder(tmp_path: Path) -> Path:
    """The model folder of this test."""
    folder = tmp_path / "models"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
