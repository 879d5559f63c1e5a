from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from jupyter_turbopilot.errors import DownloadError
from jupyter_turbopilot.models import hub
from jupyter_turbopilot.models.model import HubFile
from jupyter_turbopilot.models.transfer import RemoteFile, Transfer

from .source_server import SourceServer

FILE = HubFile("owner/repo", "m.gguf")
PATH = "/owner/repo/resolve/main/m.gguf"


def transfer(tmp_path: Path) -> Transfer:
    return Transfer(tmp_path / ".m.gguf.partial", RemoteFile(), lambda _: None, lambda: False)


def test_the_publisher_says_how_large_a_file_is_and_its_digest(server: SourceServer) -> None:
    digest = hashlib.sha256(b"model").hexdigest()
    server.says(PATH, 200, {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": "5"})
    assert hub.look(FILE, ()) == RemoteFile(5, digest)
    server.says(PATH, 200, {"X-Linked-Etag": '"a git hash"', "X-Linked-Size": "five"})
    assert hub.look(FILE, ()) == RemoteFile()


def test_a_private_repository_gets_the_persons_token(
    server: SourceServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.files[PATH] = b"model"
    hub.fetch(FILE, transfer(tmp_path))
    assert (tmp_path / ".m.gguf.partial").read_bytes() == b"model"
    assert server.gets(PATH)[0]["Authorization"] == "Bearer hf_secret"


@pytest.mark.parametrize("said", ["1", "on", "Yes", "TRUE"])
def test_offline_nothing_is_asked(
    said: str, server: SourceServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", said)
    assert hub.look(FILE, ()) == RemoteFile()
    for ask in (lambda: hub.fetch(FILE, transfer(tmp_path)), lambda: hub.files_of("owner/repo")):
        with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
            ask()
    assert server.requests == []


def test_of_a_repositorys_files_those_in_its_first_folder_are_named(server: SourceServer) -> None:
    body = b'{"siblings": [{"rfilename": "config.json"}, {"rfilename": "a/b.json"}, {"rfilename": "../x"}]}'
    server.says("/api/models/owner/repo", 200, {"Content-Type": "application/json"}, body)
    assert hub.files_of("owner/repo") == ["config.json"]
    for nonsense in (b"[]", b"{}", b'{"siblings": [{}]}', b"<html>"):
        server.says("/api/models/owner/repo", 200, {}, nonsense)
        with pytest.raises(DownloadError, match="does not list its files"):
            hub.files_of("owner/repo")
