from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.errors import CancelledError, DownloadError
from jupyter_turbopilot.models.model import HubFile, IndexParts, Source, Url
from jupyter_turbopilot.models.sources import fetch, look
from jupyter_turbopilot.models.transfer import RemoteFile, Transfer

from .source_server import SourceServer

DATA = bytes(range(256)) * 3000
KINDS = ("hub", "url", "index")


def publish(server: SourceServer, kind: str) -> Source:
    if kind == "hub":
        server.files["/owner/repo/resolve/main/m.gguf"] = DATA
        return HubFile("owner/repo", "m.gguf")
    if kind == "url":
        server.files["/m.gguf"] = DATA
        return Url(f"{server.url}/m.gguf")
    server.add_wheel("w", "1.0", {"w/p1": DATA})
    return IndexParts((("w", "1.0"),), "/p{n}")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_is_fetched_from_in_the_same_way(
    kind: str, server: SourceServer, tmp_path: Path
) -> None:
    source, target = publish(server, kind), tmp_path / ".m.gguf.partial"
    told: list[int] = []
    fetch(source, Transfer(target, RemoteFile(len(DATA)), told.append, lambda: False))
    assert target.read_bytes() == DATA
    assert told
    assert told[-1] == len(DATA)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_can_be_stopped(kind: str, server: SourceServer, tmp_path: Path) -> None:
    source = publish(server, kind)
    with pytest.raises(CancelledError):
        fetch(source, Transfer(tmp_path / ".m.partial", RemoteFile(), lambda _: None, lambda: True))


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_source_gives_more_than_the_model_has(
    kind: str, server: SourceServer, tmp_path: Path
) -> None:
    source = publish(server, kind)
    with pytest.raises(DownloadError, match="more bytes"):
        fetch(source, Transfer(tmp_path / ".m.partial", RemoteFile(1000), lambda _: None, lambda: False))


def test_only_hugging_face_says_anything_before(server: SourceServer) -> None:
    for kind in ("url", "index"):
        assert look(publish(server, kind)) == RemoteFile()
    assert server.requests == []
    server.headers["/owner/repo/resolve/main/m.gguf"] = {"X-Linked-Size": str(len(DATA))}
    assert look(publish(server, "hub")) == RemoteFile(len(DATA))
