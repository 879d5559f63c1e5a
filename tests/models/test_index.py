from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.errors import DownloadError
from jupyter_turbopilot.models import index

JSON = {"files": [{"filename": "some_model-2.0-py3-none-any.whl", "url": "../files/some_model.whl"}]}
HTML = """
<a href="/files/some_model-1.0-py3-none-any.whl#sha256=00">some_model-1.0-py3-none-any.whl</a>
<a href="/files/some_model-2.0.tar.gz">some_model-2.0.tar.gz</a>
<a href="/files/some_model-2.0-py3-none-any.whl#sha256=11">some_model-2.0-py3-none-any.whl</a>
"""


@pytest.fixture(autouse=True)
def _anew() -> None:
    """What pip said is remembered while a process lasts."""
    index.pip_settings.cache_clear()


def listing(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
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


def test_pips_own_settings_count_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "global.index-url='https://a/simple/'\nfreeze.index-url='https://b'\n:env:.index-url='https://c/simple/'\n"
    listing(monkeypatch, text)
    assert index.pip_settings() == {"index-url": "https://c/simple/"}
    assert index._index() == "https://c/simple"


def test_without_pip_the_public_index_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(subprocess, "run", fail)
    assert index._index() == "https://pypi.org/simple"


def test_certificates_that_cannot_be_read_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    listing(monkeypatch, "global.cert='/nowhere/ca.pem'\n")
    with pytest.raises(DownloadError, match=r"certificates cannot be read: /nowhere/ca\.pem"):
        index._verify()
    index.pip_settings.cache_clear()
    listing(monkeypatch, "")
    assert index._verify() is None


@pytest.mark.parametrize(
    ("content", "path"),
    [(JSON, "/simple/files/some_model.whl"), (HTML, "/files/some_model-2.0-py3-none-any.whl")],
)
def test_the_wheel_of_a_version_is_found_on_either_kind_of_page(
    monkeypatch: pytest.MonkeyPatch, content: Any, path: str
) -> None:
    listing(monkeypatch, "global.index-url='https://index/simple'\n")
    assert index._wheel_url(client(content), "some-model", "2.0") == f"https://index{path}"


def test_a_version_without_a_wheel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    listing(monkeypatch, "global.index-url='https://index/simple'\n")
    with pytest.raises(DownloadError, match=r"no wheel of some-model 3\.0"):
        index._wheel_url(client(HTML), "some-model", "3.0")


@given(st.text('<a href="#x/>b ', max_size=200))
def test_any_page_has_links_or_none(text: str) -> None:
    for name, address in index._links(text):
        assert address
        assert "#" not in address
        assert name == name.strip()
