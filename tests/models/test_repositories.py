import hashlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_turbopilot.models.download import DownloadProgress, obtain
from jupyter_turbopilot.models.folder import aside_path, checkpoint_path, is_complete, read_checkpoint_note
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.model import Model
from jupyter_turbopilot.models.repositories import Repositories
from jupyter_turbopilot.models.store import Store
from jupyter_turbopilot.protocol.errors import CancelledError, ConversionError, DownloadError
from tests.models.source_server import SourceServer

REPO = "owner/model"


def publish(server: SourceServer, repo: str, files: dict[str, bytes], *extra: str) -> None:
    listed = [{"rfilename": name} for name in (*files, *extra)]
    server.files[f"/api/models/{repo}"] = json.dumps({"siblings": listed}).encode()
    for name, data in files.items():
        path = f"/{repo}/resolve/main/{name}"
        server.files[path] = data
        digest = hashlib.sha256(data).hexdigest()
        server.headers[path] = {"x-linked-etag": f'"{digest}"', "x-linked-size": str(len(data))}


FILES = {"config.json": b"{}", "model.safetensors": b"w" * 1000, "tokenizer.json": b"{}"}


def test_fetch_downloads_the_needed_files_once(server: SourceServer, tmp_path: Path) -> None:
    publish(server, REPO, FILES, "README.md", "model.onnx", "sub/config.json", "../evil.json")
    steps: list[DownloadProgress] = []
    folder = Repositories(tmp_path, steps.append).checkpoint(REPO)
    assert sorted(path.name for path in folder.glob("[!.]*")) == sorted(FILES)
    assert steps[-1].received == len(FILES["model.safetensors"])
    before = len(server.requests)
    assert Repositories(tmp_path).checkpoint(REPO) == folder
    assert len(server.requests) == before


def test_fetch_refuses_a_file_with_another_digest(server: SourceServer, tmp_path: Path) -> None:
    publish(server, REPO, FILES)
    server.files[f"/{REPO}/resolve/main/model.safetensors"] = b"x" * 1000
    with pytest.raises(DownloadError, match="digest"):
        Repositories(tmp_path).checkpoint(REPO)


def test_fetch_replaces_a_damaged_file(server: SourceServer, tmp_path: Path) -> None:
    publish(server, REPO, FILES)
    file = Repositories(tmp_path).fetch(REPO, keep=False) / "model.safetensors"
    file.write_bytes(b"x" * 1000)
    Repositories(tmp_path).fetch(REPO)
    assert file.read_bytes() == FILES["model.safetensors"]
    assert aside_path(file).read_bytes() == b"x" * 1000


@pytest.mark.parametrize("fetch", [Repositories.checkpoint, Repositories.tokenizer])
def test_fetch_uses_earlier_downloads_offline(
    fetch: Callable[[Repositories, str], Path],
    server: SourceServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish(server, REPO, FILES)
    folder = fetch(Repositories(tmp_path), REPO)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch(Repositories(tmp_path), REPO) == folder
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
        fetch(Repositories(tmp_path), "owner/other")


def test_fetch_completes_a_partial_checkpoint(
    server: SourceServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, REPO, FILES)
    server.cut[f"/{REPO}/resolve/main/model.safetensors"] = 100
    with pytest.raises(DownloadError, match="cannot be reached"):
        Repositories(tmp_path).checkpoint(REPO)
    folder = checkpoint_path(tmp_path, REPO)
    assert (folder / "config.json").is_file()
    assert not is_complete(folder)
    with monkeypatch.context() as offline:
        offline.setenv("HF_HUB_OFFLINE", "1")
        with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
            Repositories(tmp_path).checkpoint(REPO)
    assert Repositories(tmp_path).checkpoint(REPO) == folder
    assert is_complete(folder)
    assert read_checkpoint_note(folder).verified
    assert Repositories(tmp_path).remove(REPO) > len(FILES["model.safetensors"])
    assert not folder.exists()


@pytest.mark.parametrize("source", ["nothing", "./no/folder", "a/b/c", "../x", "owner/\nmodel"])
def test_checkpoint_refuses_other_sources(source: str, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="neither a folder nor"):
        Repositories(tmp_path).checkpoint(source)


def test_fetch_refuses_a_repository_without_a_checkpoint(server: SourceServer, tmp_path: Path) -> None:
    publish(server, REPO, {"README.md": b"x"})
    with pytest.raises(ConversionError, match="contains no checkpoint"):
        Repositories(tmp_path).checkpoint(REPO)


def test_tokenizer_for_finds_the_tokenizer_of_codegen(server: SourceServer, tmp_path: Path) -> None:
    publish(server, "Salesforce/codegen-350M-mono", {"tokenizer.json": b"{}", "model.safetensors": b"w"})
    (tmp_path / "here").mkdir()
    found = Repositories(tmp_path).tokenizer_for(tmp_path / "here", "gptj", 51200)
    assert [path.name for path in found.glob("[!.]*")] == ["tokenizer.json"]
    assert Repositories(tmp_path).tokenizer_for(tmp_path / "here", "gptj", 50400) == tmp_path / "here"


MINE = Model("mine", "mine-q8_0.gguf", kind="Q8_0", checkpoint=REPO)


@pytest.fixture
def _published(server: SourceServer, tmp_path: Path) -> None:
    """Publish a checkpoint that can be converted."""
    from tests.plugins.convert import families

    families.make("gpt2", tmp_path / "hf")
    publish(server, REPO, {path.name: path.read_bytes() for path in (tmp_path / "hf").iterdir()})


@pytest.mark.usefixtures("_published")
def test_obtain_downloads_and_converts_a_model(tmp_path: Path) -> None:
    store = Store(tmp_path / "models")
    path = obtain(store, MINE)
    assert path == store.folder / "mine-q8_0.gguf"
    assert read_header(path).architecture == "gpt2"
    assert obtain(store, MINE) == path
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    os.utime(path, (time.time() + 60,) * 2)
    assert obtain(store, MINE).read_bytes() == whole  # a damaged file is converted again
    assert not (store.folder / "checkpoints" / "owner--model").exists()


@pytest.mark.usefixtures("_published")
def test_obtain_removes_files_of_a_cancelled_conversion(tmp_path: Path) -> None:
    store, cancel = Store(tmp_path / "models"), threading.Event()

    def stop(step: DownloadProgress) -> None:
        if "converting" in step.source:
            cancel.set()

    with pytest.raises(CancelledError):
        obtain(store, MINE, stop, cancel)
    folder = checkpoint_path(store.folder, REPO)
    assert (folder / "model.safetensors").is_file()
    obtain(store, MINE)
    assert not folder.exists()
