"""Bytes from a source into a file: resumable, cancellable, capped, with progress."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import msgspec

from jupyter_turbopilot.errors import CancelledError, DownloadError
from jupyter_turbopilot.files import replace_content
from jupyter_turbopilot.models.connection import IDENTITY, connection, host_of, in_words, page
from jupyter_turbopilot.models.model import HubFile, IndexParts, Source

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

CHUNK = 1 << 18
UNKNOWN_LIMIT = 64 * 1024**3
_WHOLE, _PART, _PAST_END = 200, 206, 416
_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")

Progress = Callable[[int], None]


@dataclass(frozen=True)
class RemoteFile:
    """What is known of the file before it is fetched."""

    size: int | None = None
    sha256: str | None = None


class State(msgspec.Struct):
    """What is noted beside a file that has come in part."""

    source: str = ""
    etag: str = ""
    part: int = 0
    done: int = 0


def read_state(target: Path) -> State:
    """Read the note; what is damaged is none."""
    try:
        return msgspec.json.decode(target.with_suffix(".state").read_bytes(), type=State, strict=False)
    except (OSError, ValueError):
        return State()


def write_state(target: Path, state: State) -> None:
    """Write the note."""
    replace_content(target.with_suffix(".state"), msgspec.json.encode(state))


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


def look(source: Source, hosts: Collection[str] = ()) -> RemoteFile:
    """Ask what the publisher says of the file: its size and, from Hugging Face, its digest."""
    if not isinstance(source, HubFile):
        return RemoteFile()
    with in_words(f"Hugging Face ({source.repo})"), connection(_endpoint(), hosts) as client:
        # The digest stands on the first answer; the storage it points to knows nothing of it.
        answer = client.head(hub_url(source), headers=hub_headers(), follow_redirects=False)
        if answer.is_error:
            answer.raise_for_status()
        digest = answer.headers.get("x-linked-etag", "").strip('"')
        return RemoteFile(
            size=_number(answer.headers.get("x-linked-size", "")),
            sha256=digest if re.fullmatch(r"[0-9a-f]{64}", digest) else None,
        )


def files_of(repository: str, hosts: Collection[str] = ()) -> list[str]:
    """Return the names of a Hugging Face repository's files, those in its first folder."""
    what = f"Hugging Face ({repository})"
    _refuse_offline()
    with in_words(what), connection(_endpoint(), hosts) as client:
        _, body = page(client, f"{_endpoint()}/api/models/{repository}", hub_headers())
        try:
            names = [str(entry["rfilename"]) for entry in json.loads(body)["siblings"]]
        except (ValueError, LookupError, TypeError):
            raise DownloadError(f"{what} does not list its files.") from None
    return [name for name in names if re.fullmatch(r"[A-Za-z0-9][\w.+-]{0,200}", name)]


def fetch(
    source: Source,
    target: Path,
    known: RemoteFile,
    progress: Progress,
    cancelled: Callable[[], bool],
    *,
    hosts: Collection[str] = (),
) -> None:
    """Bring the source's bytes into `target`, going on where an earlier attempt stopped."""
    if isinstance(source, IndexParts):
        from jupyter_turbopilot.models.index import fetch_parts

        fetch_parts(source, target, known, progress, cancelled, hosts=hosts)
        return
    if isinstance(source, HubFile):
        _refuse_offline()
        url, headers, what = hub_url(source), hub_headers(), f"Hugging Face ({source.repo})"
    else:
        url, headers, what = source.url, {}, f"The server at {host_of(source.url)}"
    headers = headers | IDENTITY
    state = read_state(target)
    done = 0
    # Without a digest only the source itself can say that it still has the same file.
    if state.source == url and (known.sha256 or state.etag) and target.exists():
        done = target.stat().st_size
    if done and done == known.size:
        return
    with in_words(what), connection(url, hosts) as client:
        for asked in dict.fromkeys((done, 0)):  # who does not go on from there is asked for the whole
            with client.stream("GET", url, headers=headers | _range(asked, state)) as answer:
                if asked and answer.headers.get("content-range") == f"bytes */{asked}":
                    return  # nothing is missing
                start = begins_at(answer, asked, known, state.etag)
                if start is None:
                    continue
                with target.open("r+b" if start else "wb") as file:
                    file.seek(start)
                    file.truncate()
                    write_state(target, State(url, _validator(answer)))
                    came = copy(answer.iter_bytes(CHUNK), file, start, known, progress, cancelled)
                check_length(came, _announced(answer, start), known)
                return
        raise DownloadError(f"{what} sends another part of the file than it was asked for.")


def _range(asked: int, state: State) -> dict[str, str]:
    if not asked:
        return {}
    return {"Range": f"bytes={asked}-"} | ({"If-Range": state.etag} if state.etag else {})


def begins_at(answer: httpx.Response, asked: int, known: RemoteFile, etag: str) -> int | None:
    """Return where in the file the answer's bytes belong; nothing where it has to be asked for the whole."""
    if answer.status_code == _PART:
        found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        if not asked or not found or _encoded(answer):
            return None
        first, last = int(found[1]), int(found[2])
        total = last + 1 if found[3] == "*" else int(found[3])
        same_file = answer.headers.get("etag", etag) == etag or not etag
        fits = first == asked and last + 1 == total and total == (known.size or total)
        return asked if fits and same_file else None
    if answer.status_code == _PAST_END and asked:
        return None
    answer.raise_for_status()
    if answer.status_code != _WHOLE:
        raise DownloadError(f"{answer.url.host} answered {answer.status_code}.")
    check_length(_announced(answer, 0), None, known)
    return 0


def _announced(answer: httpx.Response, start: int) -> int | None:
    """Return how long the whole file is, as the answer says."""
    if found := _RANGE.fullmatch(answer.headers.get("content-range", "")):
        return int(found[2]) + 1
    length = _number(answer.headers.get("content-length", ""))
    return None if length is None or _encoded(answer) else start + length


def check_length(length: int | None, announced: int | None, known: RemoteFile) -> None:
    """Refuse a file that is longer or shorter than it is known to be, or was announced."""
    for expected in (known.size, announced):
        if length is not None and expected is not None and length != expected:
            more = "more" if length > expected else "fewer"
            raise DownloadError(f"The source sends {more} bytes than the model has.")


def _encoded(answer: httpx.Response) -> bool:
    return answer.headers.get("content-encoding", "identity").lower() not in {"", "identity"}


def _validator(answer: httpx.Response) -> str:
    """Return what the file can be asked for again with; a weak tag, or one of compressed bytes, is none."""
    etag: str = answer.headers.get("etag", "")
    return "" if etag.startswith("W/") or _encoded(answer) else etag


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def copy(
    chunks: Iterator[bytes],
    file: IO[bytes],
    done: int,
    known: RemoteFile,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> int:
    """Write what comes; return how long the file is then."""
    for chunk in chunks:
        if cancelled():
            raise CancelledError("The download was stopped; it goes on from here next time.")
        done += len(chunk)
        if done > (known.size or UNKNOWN_LIMIT):
            raise DownloadError("The source sends more bytes than the model has.")
        file.write(chunk)
        progress(done)
    return done
