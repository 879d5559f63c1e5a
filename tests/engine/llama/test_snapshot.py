import hashlib
import stat
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.engine.llama.kv_cache import new_buffer
from jupyter_turbopilot.engine.llama.snapshot import load, save
from jupyter_turbopilot.engine.stepping.sequences import KVSequence
from jupyter_turbopilot.models.user_cache import SEQUENCES_MAGIC

SAVED = [
    KVSequence(-1, [1, 2, 3], stale=[0, 0, 1], state=b"\x00\xff" * 50),
    KVSequence(-1, state=b""),
    KVSequence(-1, [151935], stale=[0], state=b"x"),
]


def content(sequences: list[KVSequence]) -> list[tuple[list[int], int, bytes]]:
    return [(each.tokens, each.exact, each.state) for each in sequences]


def test_save_makes_the_file_private(tmp_path: Path) -> None:
    save(tmp_path / "deep" / "state", "model", SAVED)
    assert stat.S_IMODE((tmp_path / "deep" / "state").stat().st_mode) == 0o600


def test_load_deletes_the_file_of_another_model(tmp_path: Path) -> None:
    save(tmp_path / "state", "model", SAVED)
    assert load(tmp_path / "state", "another") == []
    assert not (tmp_path / "state").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_load_deletes_garbage(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "state").write_bytes(garbage)
    assert load(tmp_path / "state", "model") == []
    assert not (tmp_path / "state").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 400))
def test_load_deletes_a_truncated_or_changed_file(tmp_path: Path, at: int) -> None:
    path = tmp_path / "state"
    save(path, "model", SAVED)
    raw = path.read_bytes()
    at %= len(raw)
    path.write_bytes(raw[:at])
    assert load(path, "model") == []
    path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    assert load(path, "model") == []


@pytest.mark.parametrize(
    "header", [b"", b"[]", b"{", b'"x"', b'{"key":"model"}', b'{"key":"model","sequences":[[1]]}',
               b'{"key":"model","sequences":[["a",1]]}', b'{"key":"model","sequences":7}', b"\xff"]
)  # fmt: skip
def test_load_deletes_a_file_with_an_invalid_header(tmp_path: Path, header: bytes) -> None:
    body = len(header).to_bytes(4, "little") + header
    (tmp_path / "state").write_bytes(SEQUENCES_MAGIC + hashlib.sha256(body).digest() + body)
    assert load(tmp_path / "state", "model") == []
    assert not (tmp_path / "state").exists()


def test_save_and_load_make_no_copies(tmp_path: Path) -> None:
    saved = [KVSequence(-1, [1], stale=[0], state=new_buffer(2**20))] * 8
    tracemalloc.start()
    save(tmp_path / "state", "model", saved)
    assert content(load(tmp_path / "state", "model")) == content(saved)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_save_in_parallel_leaves_one_complete_file(tmp_path: Path) -> None:
    other = [KVSequence(-1, [7], stale=[0], state=b"other" * 100_000)]
    writers = [
        threading.Thread(target=save, args=(tmp_path / "state", "model", kept)) for kept in (SAVED, other) * 4
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert content(load(tmp_path / "state", "model")) in (content(SAVED), content(other))
    assert {path.name for path in tmp_path.iterdir()} == {"state", "state.lock"}


def test_load_deletes_temporary_files_of_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / ".sequences"
    child = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from jupyter_turbopilot.engine.llama import snapshot as state\n"
        "os.fdopen = lambda *_: os._exit(9)\n"
        "state.save(Path(sys.argv[1]), 'model', [])\n"
    )
    subprocess.run([sys.executable, "-c", child, str(path)], check=False, timeout=60)
    (tmp_path / ".sequences.txt").write_bytes(b"another program's")
    assert list(tmp_path.glob(".sequences.*.new"))
    assert load(path, "model") == []
    assert {one.name for one in tmp_path.iterdir()} == {".sequences.lock", ".sequences.txt"}


def test_save_leaves_no_temporary_file_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    save(tmp_path / "state", "model", SAVED)
    assert {one.name for one in tmp_path.iterdir()} <= {"state.lock"}
