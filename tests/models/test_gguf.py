import os
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.models.gguf import read_header, stamp
from jupyter_turbopilot.protocol.errors import ModelRefusedError


def string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def file(
    *,
    magic: bytes = b"GGUF",
    version: int = 3,
    tensors: int = 1,
    keys: int | None = None,
    pairs: tuple[bytes, ...] | None = None,
    tensor: bytes | None = None,
    data: int = 128,
) -> bytes:
    pairs = (
        (string("general.architecture") + struct.pack("<I", 8) + string("llama"),) if pairs is None else pairs
    )
    tensor = string("t") + struct.pack("<IQIQ", 1, 32, 0, 0) if tensor is None else tensor
    head = magic + struct.pack("<IQQ", version, tensors, len(pairs) if keys is None else keys)
    body = head + b"".join(pairs) + tensor
    return body + b"\0" * (-len(body) % 32) + b"\0" * data


def refused(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelRefusedError) as caught:
        read_header(path)
    return caught.value.message


def test_read_header_reads_a_real_model(tiny_model: Path) -> None:
    header = read_header(tiny_model)
    assert header.architecture == "llama"
    assert header.number("block_count") == 2
    assert header.kv_bytes(100) == 2 * 100 * 4 * (16 + 16) * 2
    assert header.metadata["tokenizer.ggml.tokens"] == 260


ARCHITECTURE = string("general.architecture") + struct.pack("<I", 8) + string("llama")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "too short"),
        (b"GGUF", "too short"),
        (file(magic=b"GGML"), "not a GGUF"),
        (file(version=0), "version 0"),
        (file(version=1), "version 1"),
        (file(version=99), "version 99"),
        (file(tensors=2**64 - 1), "damaged"),
        (file(keys=2**64 - 1), "damaged"),
        (file(tensors=0), "damaged"),
        (file(pairs=(ARCHITECTURE, ARCHITECTURE)), "twice"),
        (file(pairs=()), "architecture"),
        (file(pairs=(string("general.architecture") + struct.pack("<II", 4, 7),)), "architecture"),
        (file(pairs=(struct.pack("<Q", 2**63),)), "string of"),
        (file(pairs=(ARCHITECTURE, string("a") + struct.pack("<IIQ", 9, 8, 2**63))), "list of"),
        (file(pairs=(ARCHITECTURE, string("a") + struct.pack("<IIQ", 9, 8, 1000))), "vocabulary"),
        (file(pairs=(ARCHITECTURE, string("a") + struct.pack("<IIQ", 9, 4, 4_000_000))), "ends inside"),
        (file(pairs=(ARCHITECTURE, string("a") + struct.pack("<IIQ", 9, 9, 1))), "unknown type"),
        (file(pairs=(ARCHITECTURE, string("a") + struct.pack("<I", 77))), "unknown type"),
        (file(pairs=(ARCHITECTURE, string("general.alignment") + struct.pack("<II", 4, 0))), "alignment"),
        (file(tensor=string("t") + struct.pack("<IQIQ", 1, 32, 0, 10**9)), "short of its last tensor"),
        (file(tensor=string("t") + struct.pack("<IQIQ", 1, 10**9, 0, 0)), "short of its last tensor"),
        (file(tensor=string("t") + struct.pack("<IQIQ", 1, 31, 2, 0)), "invalid shape"),
        (file(tensor=string("t") + struct.pack("<I", 9)), "9 dimensions"),
        (file(tensors=2, tensor=2 * (string("t") + struct.pack("<IQIQ", 1, 32, 0, 0))), "twice"),
    ],
)
def test_read_header_refuses_a_damaged_file_with_the_reason(
    tmp_path: Path, content: bytes, words: str
) -> None:
    assert words in refused(tmp_path, content)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 0.99])
def test_read_header_refuses_a_truncated_file(tiny_model: Path, tmp_path: Path, share: float) -> None:
    data = tiny_model.read_bytes()
    assert "the file is damaged" in refused(tmp_path, data[: int(len(data) * share)])


def test_read_header_refuses_other_paths(tmp_path: Path) -> None:
    (tmp_path / "dangling.gguf").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.gguf").mkdir()
    for name in ("missing.gguf", "dangling.gguf", "folder.gguf"):
        with pytest.raises(ModelRefusedError) as caught:
            read_header(tmp_path / name)
        assert str(tmp_path) not in caught.value.message


def test_read_header_refuses_an_unreadable_file(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(path: Path, *_: object) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.open", forbid)  # root may read everything
    with pytest.raises(ModelRefusedError) as caught:
        read_header(tiny_model)
    assert str(tiny_model.parent) not in caught.value.message


@given(st.binary(max_size=300))
def test_read_header_refuses_random_bytes(tmp_path_factory: pytest.TempPathFactory, tail: bytes) -> None:
    path = tmp_path_factory.mktemp("g") / "x.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<I", 3) + tail)
    with pytest.raises(ModelRefusedError):
        read_header(path)


@given(st.integers(0, len(file(data=0)) - 1), st.integers(0, 255))
def test_read_header_refuses_flipped_bytes(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int
) -> None:
    content = bytearray(file(data=0))
    content[at] = value
    path = tmp_path_factory.mktemp("g") / "x.gguf"
    path.write_bytes(content)
    with suppress(ModelRefusedError):
        read_header(path)


@pytest.mark.parametrize("at", [0, 150_000])
def test_stamp_distinguishes_files_of_equal_size_and_time(tmp_path: Path, at: int) -> None:
    stamps = set()
    for byte in b"abb":
        content = bytearray(150_001)
        content[at] = byte
        path = tmp_path / "model.gguf"
        path.write_bytes(content)
        os.utime(path, (1, 1))
        stamps.add(stamp(path))
    assert len(stamps) == 2
