from __future__ import annotations

import io
from itertools import accumulate
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.errors import CancelledError, DownloadError
from jupyter_turbopilot.models.folder import state_path
from jupyter_turbopilot.models.transfer import (
    RemoteFile,
    Transfer,
    TransferState,
    begins_at,
    check_length,
    copy,
    read_state,
    whole_number,
    write_state,
)

TARGET = Path("m.gguf.partial")


def answer(status: int, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, request=httpx.Request("GET", "https://example.org/m"))


def transfer(known: RemoteFile, received: list[int], *, stopped: bool = False) -> Transfer:
    return Transfer(TARGET, known, received.append, lambda: stopped)


@pytest.mark.parametrize(
    ("headers", "start"),
    [
        ({"content_range": "bytes 40-99/100"}, 40),
        ({"content_range": "bytes 40-99/*"}, 40),
        ({"content_range": "bytes 40-99/100", "etag": '"a"'}, 40),
        ({"content_range": "bytes 40-99/100", "etag": '"b"'}, None),  # another file
        ({"content_range": "bytes 41-99/100"}, None),
        ({"content_range": "bytes 40-98/100"}, None),  # not up to the end
        ({"content_range": "bytes 40-109/110"}, None),  # not the size that is known
        ({"content_range": "bytes 40-99/100", "content_encoding": "gzip"}, None),
        ({"content_range": "nonsense"}, None),
        ({}, None),
    ],
)
def test_the_rest_of_a_file_is_taken_only_where_it_fits(headers: dict[str, str], start: int | None) -> None:
    assert begins_at(answer(206, **headers), 40, RemoteFile(100), '"a"') == start


def test_a_part_that_nobody_requested_is_not_taken() -> None:
    assert begins_at(answer(206, content_range="bytes 0-99/100"), 0, RemoteFile(100), "") is None


def test_the_whole_file_begins_at_its_beginning() -> None:
    assert begins_at(answer(200, content_length="100"), 40, RemoteFile(100), "") == 0
    with pytest.raises(DownloadError, match="fewer bytes"):
        begins_at(answer(200, content_length="99"), 40, RemoteFile(100), "")


def test_what_is_past_the_end_is_requested_whole() -> None:
    assert begins_at(answer(416), 40, RemoteFile(), "") is None
    with pytest.raises(httpx.HTTPStatusError):
        begins_at(answer(416), 0, RemoteFile(), "")


def test_an_answer_without_content_is_refused_in_words() -> None:
    with pytest.raises(DownloadError, match=r"example\.org answered 204"):
        begins_at(answer(204), 0, RemoteFile(), "")


def test_a_length_is_compared_with_what_is_known_and_with_what_was_announced() -> None:
    check_length(5, 5, RemoteFile(5))
    check_length(5, None, RemoteFile())
    check_length(None, 6, RemoteFile(5))
    with pytest.raises(DownloadError, match="more bytes"):
        check_length(6, None, RemoteFile(5))
    with pytest.raises(DownloadError, match="fewer bytes"):
        check_length(5, 6, RemoteFile())


@given(st.lists(st.binary(max_size=20), max_size=6), st.integers(0, 9))
def test_what_comes_is_written_and_told_as_it_comes(chunks: list[bytes], done: int) -> None:
    file, received = io.BytesIO(), []
    whole = done + sum(map(len, chunks))
    assert copy(iter(chunks), file, done, transfer(RemoteFile(), received)) == whole
    assert file.getvalue() == b"".join(chunks)
    assert received == [done + length for length in accumulate(map(len, chunks))]


def test_nothing_is_written_past_the_size_that_is_known() -> None:
    file = io.BytesIO()
    with pytest.raises(DownloadError, match="more bytes"):
        copy(iter([b"abc", b"de"]), file, 0, transfer(RemoteFile(4), []))
    assert file.getvalue() == b"abc"


def test_who_stops_a_download_stops_it_before_the_next_bytes() -> None:
    file = io.BytesIO()
    with pytest.raises(CancelledError, match="goes on from here"):
        copy(iter([b"abc"]), file, 0, transfer(RemoteFile(), [], stopped=True))
    assert file.getvalue() == b""


@pytest.mark.parametrize(
    ("text", "number"), [("12", 12), ("", None), ("-1", None), ("1e3", None), ("٣", None), ("9" * 19, None)]
)
def test_a_size_is_a_number_in_plain_digits(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def test_the_note_beside_a_part_is_read_back_and_a_damaged_one_is_empty(tmp_path: Path) -> None:
    target = tmp_path / "m.gguf.partial"
    state = TransferState("https://example.org/m", '"a"', 2, 40)
    write_state(target, state)
    assert read_state(target) == state
    state_path(target).write_bytes(b"{")
    assert read_state(target) == TransferState()
    assert read_state(tmp_path / "none.partial") == TransferState()
