"""Faults of the completion cache file: killed servers, corrupt bytes, concurrent servers."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.completer.cache.cache_writer import CacheWriter
from jupyter_turbopilot.completer.cache.completion_cache import CacheEntry, CompletionCache

from ..completer.cache.answers import MEGABYTE, answers, cache_key, open_file, texts, whole_size
from ..serving import Server
from ..waiting import until

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


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Settings that name a file."""
    lines = [f"cache_file = {str(tmp_path / 'answers.db')!r}", "threads = 1"]
    (tmp_path / "jupyter_turbopilot_config.py").write_text(
        "".join(f"c.Turbopilot.{line}\n" for line in lines)
    )
    return {"JUPYTER_CONFIG_DIR": str(tmp_path)}


@pytest.fixture
def start(tiny_model: Path, environment: dict[str, str]) -> Iterator[Any]:
    """Start servers on the same file."""
    begun: list[Server] = []

    def another() -> Server:
        begun.append(Server(tiny_model, "--no-api-key", environment=environment))
        return begun[-1]

    yield another
    for server in begun:
        server.client.close()
        server.process.kill()
        server.process.wait()


def ask(server: Server, source: str) -> dict[str, Any]:
    body = {"cells": [{"source": source}], "offset": len(source), "trigger": "invoke", "max_tokens": 4}
    found: dict[str, Any] = server.client.post("/complete", json=body | {"lines": "multi"}).json()
    return found


def test_killed_server_answers_from_the_file_after_a_restart(start: Any, tmp_path: Path) -> None:
    first = start()
    probes = [f"probe_{number} = " for number in range(40)]
    sources = [f"value_{number} = " for number in range(5)]
    for probe in probes:
        ask(first, probe)
    before = [ask(first, source) for source in sources]
    assert all(answer["timings"]["predicted_tokens"] for answer in before)
    until(lambda: len(texts(tmp_path / "answers.db")) >= len(probes + sources))

    def typing() -> None:
        with suppress(httpx.HTTPError):
            for number in range(10_000):
                ask(first, "x = " + "y" * number)

    typist = threading.Thread(target=typing)
    typist.start()
    written = (tmp_path / "answers.db").stat().st_mtime_ns
    until(lambda: (tmp_path / "answers.db").stat().st_mtime_ns != written)
    first.process.kill()
    typist.join()
    second = start()
    # The server loads the file in the background, newest entry first, so the probe's entry comes last.
    while ask(second, probes.pop())["timings"]["predicted_tokens"]:
        time.sleep(0.1)
    after = [ask(second, source) for source in sources]
    assert [answer["items"] for answer in after] == [answer["items"] for answer in before]
    assert {answer["timings"]["predicted_tokens"] for answer in after} == {0}
    assert {answer["timings"]["prompt_tokens"] for answer in after} == {0}
    second.stop()
