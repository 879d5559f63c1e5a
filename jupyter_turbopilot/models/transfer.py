"""Bytes from a source into a file: resumable, cancellable, capped, with progress."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import msgspec

from jupyter_turbopilot.errors import CancelledError, DownloadError
from jupyter_turbopilot.files import replace_content
from jupyter_turbopilot.models.connection import IDENTITY, connection, in_words
from jupyter_turbopilot.models.folder import state_path

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    import httpx

CHUNK = 1 << 18
UNKNOWN_LIMIT = 64 * 1024**3
_WHOLE, _PART, _PAST_END = 200, 206, 416
_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")


@dataclass(frozen=True)
class RemoteFile:
    """What is known of the file before it is fetched."""

    size: int | None = None
    sha256: str | None = None


class TransferState(msgspec.Struct):
    """What is noted beside a file that has come in part."""

    source: str = ""
    etag: str = ""
    part: int = 0
    done: int = 0


def read_state(target: Path) -> TransferState:
    """Read the note; what is damaged is none."""
    try:
        return msgspec.json.decode(state_path(target).read_bytes(), type=TransferState, strict=False)
    except (OSError, ValueError):
        return TransferState()


def write_state(target: Path, state: TransferState) -> None:
    """Write the note."""
    replace_content(state_path(target), msgspec.json.encode(state))


@dataclass(frozen=True)
class Transfer:
    """A file on its way: where it is put, what is known of it, who is told and who may stop it."""

    target: Path
    known: RemoteFile
    progress: Callable[[int], None]
    cancelled: Callable[[], bool]
    hosts: Collection[str] = ()  # that it may be redirected to, though they are not public


def fetch_url(url: str, transfer: Transfer, headers: dict[str, str], what: str) -> None:
    """Fetch the bytes at an address, going on where an earlier attempt stopped; `what` names who has them."""
    target, known = transfer.target, transfer.known
    headers = headers | IDENTITY
    state = read_state(target)
    done = 0
    # Without a digest only the source itself can say that it still has the same file.
    if state.source == url and (known.sha256 or state.etag) and target.exists():
        done = target.stat().st_size
    if done and done == known.size:
        return
    with in_words(what), connection(url, transfer.hosts) as client:
        for start_at in dict.fromkeys(
            (done, 0)
        ):  # a server that does not support ranges sends the whole file
            with client.stream("GET", url, headers=headers | _range(start_at, state)) as answer:
                if start_at and answer.headers.get("content-range") == f"bytes */{start_at}":
                    return  # nothing is missing
                start = begins_at(answer, start_at, known, state.etag)
                if start is None:
                    continue
                with target.open("r+b" if start else "wb") as file:
                    file.seek(start)
                    file.truncate()
                    write_state(target, TransferState(url, _validator(answer)))
                    received = copy(answer.iter_bytes(CHUNK), file, start, transfer)
                check_length(received, _announced(answer, start), known)
                return
        raise DownloadError(f"{what} sent a part of the file that was not requested. Try again.")


def _range(start_at: int, state: TransferState) -> dict[str, str]:
    if not start_at:
        return {}
    return {"Range": f"bytes={start_at}-"} | ({"If-Range": state.etag} if state.etag else {})


def begins_at(answer: httpx.Response, start_at: int, known: RemoteFile, etag: str) -> int | None:
    """Return where in the file the answer's bytes belong; None where it has to be requested whole."""
    if answer.status_code == _PART:
        span = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        if not start_at or not span or _encoded(answer):
            return None
        first, last = int(span[1]), int(span[2])
        total = last + 1 if span[3] == "*" else int(span[3])
        same_file = answer.headers.get("etag", etag) == etag or not etag
        fits = first == start_at and last + 1 == total and total == (known.size or total)
        return start_at if fits and same_file else None
    if answer.status_code == _PAST_END and start_at:
        return None
    answer.raise_for_status()
    if answer.status_code != _WHOLE:
        raise DownloadError(f"{answer.url.host} answered {answer.status_code}.")
    check_length(_announced(answer, 0), None, known)
    return 0


def _announced(answer: httpx.Response, start: int) -> int | None:
    """Return how long the whole file is, as the answer says."""
    if span := _RANGE.fullmatch(answer.headers.get("content-range", "")):
        return int(span[2]) + 1
    length = whole_number(answer.headers.get("content-length", ""))
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
    """Return the tag by which the rest can be requested; weak ones and those of compressed bytes are not."""
    etag: str = answer.headers.get("etag", "")
    return "" if etag.startswith("W/") or _encoded(answer) else etag


def whole_number(text: str) -> int | None:
    """Read a header that holds a size."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def copy(chunks: Iterator[bytes], file: IO[bytes], done: int, transfer: Transfer) -> int:
    """Write what comes; return how long the file is then."""
    for chunk in chunks:
        if transfer.cancelled():
            raise CancelledError("The download was stopped; it goes on from here next time.")
        done += len(chunk)
        if done > (transfer.known.size or UNKNOWN_LIMIT):
            raise DownloadError("The source sends more bytes than the model has.")
        file.write(chunk)
        transfer.progress(done)
    return done
