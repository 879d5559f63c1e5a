"""Transfer bytes from a source to a file: resumable, cancellable, size-limited, with progress."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import msgspec

from jupyter_turbopilot.models.connection import IDENTITY, connection, translate_errors
from jupyter_turbopilot.models.folder import state_path
from jupyter_turbopilot.protocol.errors import CancelledError, DownloadError
from jupyter_turbopilot.util.files import replace_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

CHUNK = 1 << 18
UNKNOWN_LIMIT = 64 * 1024**3
_WHOLE, _PART, _PAST_END = 200, 206, 416
_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")


@dataclass(frozen=True)
class RemoteFile:
    """The known size and digest of a file before its download."""

    size: int | None = None
    sha256: str | None = None


class TransferState(msgspec.Struct):
    """The state of a partial download, stored next to the file."""

    source: str = ""
    etag: str = ""
    part: int = 0
    done: int = 0


def read_state(target: Path) -> TransferState:
    """Read the state; return an empty one if it is missing or damaged."""
    try:
        return msgspec.json.decode(state_path(target).read_bytes(), type=TransferState, strict=False)
    except (OSError, ValueError):
        return TransferState()


def write_state(target: Path, state: TransferState) -> None:
    replace_content(state_path(target), msgspec.json.encode(state))


@dataclass(frozen=True)
class Transfer:
    """A running download: target, expected file, progress callback and cancellation."""

    target: Path
    known: RemoteFile
    progress: Callable[[int], None]
    cancelled: Callable[[], bool]


def fetch_url(url: str, transfer: Transfer, headers: dict[str, str], what: str) -> None:
    """Download a URL and resume an earlier attempt; `what` names the source in messages."""
    target, known = transfer.target, transfer.known
    headers = headers | IDENTITY
    state = read_state(target)
    done = 0
    # Without a digest only the source itself can confirm that its file is unchanged.
    if state.source == url and (known.sha256 or state.etag) and target.exists():
        done = target.stat().st_size
    if done and done == known.size:
        return
    with translate_errors(what), connection(url) as client:
        for start_at in dict.fromkeys((done, 0)):  # without range support, request the whole file
            with client.stream("GET", url, headers=headers | _range(start_at, state)) as answer:
                if start_at and answer.headers.get("content-range") == f"bytes */{start_at}":
                    return  # nothing is missing
                start = resume_offset(answer, start_at, known, state.etag)
                if start is None:
                    continue
                with target.open("r+b" if start else "wb") as file:
                    file.seek(start)
                    file.truncate()
                    write_state(target, TransferState(url, _validator(answer)))
                    received = copy(answer.iter_bytes(CHUNK), file, start, transfer)
                check_length(received, _announced(answer, start), known)
                return
        raise DownloadError(f"{what} sent an unexpected byte range. Try again.")


def _range(start_at: int, state: TransferState) -> dict[str, str]:
    if not start_at:
        return {}
    return {"Range": f"bytes={start_at}-"} | ({"If-Range": state.etag} if state.etag else {})


def resume_offset(answer: httpx.Response, start_at: int, known: RemoteFile, etag: str) -> int | None:
    """Return the file offset of the response's bytes, or None if the whole file must be requested."""
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
    """Return the announced length of the whole file."""
    if span := _RANGE.fullmatch(answer.headers.get("content-range", "")):
        return int(span[2]) + 1
    length = whole_number(answer.headers.get("content-length", ""))
    return None if length is None or _encoded(answer) else start + length


def check_length(length: int | None, announced: int | None, known: RemoteFile) -> None:
    """Raise DownloadError if the length differs from the known or announced one."""
    for expected in (known.size, announced):
        if length is not None and expected is not None and length != expected:
            more = "more" if length > expected else "fewer"
            raise DownloadError(f"The source sent {more} bytes than the model has.")


def _encoded(answer: httpx.Response) -> bool:
    return answer.headers.get("content-encoding", "identity").lower() not in {"", "identity"}


def _validator(answer: httpx.Response) -> str:
    """Return the ETag for resuming; empty if it is weak or belongs to a compressed response."""
    etag: str = answer.headers.get("etag", "")
    return "" if etag.startswith("W/") or _encoded(answer) else etag


def whole_number(text: str) -> int | None:
    """Parse a header that contains a size."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def copy(chunks: Iterator[bytes], file: IO[bytes], done: int, transfer: Transfer) -> int:
    """Write the chunks; return the resulting length of the file."""
    for chunk in chunks:
        if transfer.cancelled():
            raise CancelledError("The download was cancelled. It will resume from here next time.")
        done += len(chunk)
        if done > (transfer.known.size or UNKNOWN_LIMIT):
            raise DownloadError("The source sent more bytes than the model has.")
        file.write(chunk)
        transfer.progress(done)
    return done
