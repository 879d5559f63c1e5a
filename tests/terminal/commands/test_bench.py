from __future__ import annotations

import json
from pathlib import Path

from .running import jupyter


def test_bench_measures_by_threads_and_batch_and_stores_the_rate(tiny_model: Path, tmp_path: Path) -> None:
    picture = tmp_path / "speed.svg"
    done = jupyter(
        "bench", tiny_model, "-t", "1,2", "-b", "16,64", "-p", "64", "-n", "8", "-r", "2", "--plot", picture
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(tiny_model.name) == 4
    assert b"<svg" in picture.read_bytes()
    found = json.loads(
        jupyter("bench", tiny_model, "-t", "1", "-p", "64", "-n", "8", "-r", "1", "--json").stdout
    )
    assert found[0]["written"] == 8
    assert found[0]["prompt_a_second"] > 0
    assert "measured" in jupyter("models", "recommend").stdout


def test_bench_refuses_zero_rounds_and_sizes(tiny_model: Path) -> None:
    long = jupyter("bench", tiny_model, "-p", "100000")
    assert (long.returncode, "maximum context length" in long.stderr) == (2, True)
    for model in ("no-such-model", "./no-such-file.gguf"):
        unknown = jupyter("bench", model)
        assert (unknown.returncode, "no model" in unknown.stderr) == (2, True)
