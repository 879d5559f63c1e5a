"""Faults of the completion cache file: killed servers, corrupt bytes, concurrent servers."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.completer.cache.cache_writer import CacheWriter
from jupyter_turbopilot.completer.cache.completion_cache import CacheEntry, CompletionCache

from ..completer.cache.answers import MEGABYTE, answers, cache_key, open_file, texts, whole_size

WRITER = """
import sys
from pathlib import Path
from jupyter_turbopilot.completer.cache import cache_writer as module
from tests.completer.cache.answers import answers
module.SETTLE = 0.0
path, start, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
writer = module.CacheWriter(path, 1024 * 1024)
writer.start(lambda _: True)
for answer in answers(range(start, start + count), "longer {} " + "text " * 30):
    writer.keep(answer)
    if answer.tokens[1].data == b"7":
        print("writing", flush=True)
writer.close()
writer._behind._thread.join(20)
"""


def write(path: Path, start: int, count: int) -> subprocess.Popen[str]:
    """Write completions in another process."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(start), str(count)], stdout=subprocess.PIPE, text=True
    )


def known(path: Path) -> list[int]:
    """Return the cached completions at the next start, and check each."""
    results = CompletionCache(64 * MEGABYTE)
    restored: list[CacheEntry] = []
    reader = CacheWriter(path, MEGABYTE)
    reader.start(lambda answer: bool(restored.append(answer)) or results.restore(answer))
    reader.close()
    assert reader._behind._thread is not None
    reader._behind._thread.join(20)
    for answer in restored:
        number = answer.tokens[0].id
        found = results.find(cache_key(number))
        assert found is not None
        assert found.text.startswith(f"longer{number}text")
    return [answer.tokens[0].id for answer in restored]


def test_killed_writer_leaves_a_valid_bounded_file(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    draw = random.Random(21)
    for _ in range(4):
        writer = write(path, 0, 400)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        time.sleep(draw.random() * 0.2)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        assert whole_size(path) <= 1.1 * MEGABYTE
        known(path)
    writer = write(path, 0, 200)
    writer.communicate()
    assert known(path)[0] == 199


def test_concurrent_servers_replace_a_damaged_file_together(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    database = open_file(path)
    database.add(answers(range(99)))
    database.close()
    path.write_bytes(path.read_bytes()[: 2 * 4096])
    writers = [write(path, start, 60) for start in (0, 100)]
    assert [writer.communicate() and writer.returncode for writer in writers] == [0, 0]
    assert sorted(known(path)) == [*range(60), *range(100, 160)]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A valid file."""
    path = tmp_path_factory.mktemp("sound") / "answers.db"
    database = open_file(path)
    database.add(answers(range(40)))
    database.close()
    return path.read_bytes()


@given(st.integers(0, 1 << 20), st.binary(max_size=300), st.one_of(st.none(), st.integers(0, 1 << 16)))
@settings(max_examples=60)
def test_corrupt_file_returns_no_wrong_completion_and_accepts_new(
    tmp_path_factory: pytest.TempPathFactory, sound: bytes, at: int, garbage: bytes, length: int | None
) -> None:
    path = tmp_path_factory.mktemp("file") / "answers.db"
    at %= len(sound)
    path.write_bytes((sound[:at] + garbage + sound[at + len(garbage) :])[:length])
    assert set(texts(path)) <= {answer.text for answer in answers(range(40))}
    database = open_file(path)
    database.add(answers([77]))
    assert next(database.newest()).text == answers([77])[0].text
    database.close()
