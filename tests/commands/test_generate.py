from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import pytest

from jupyter_turbopilot.commands import bench, generate
from jupyter_turbopilot.engine.stepping import CHUNK
from tests.commands.test_models import jupyter

if TYPE_CHECKING:
    from pathlib import Path


def test_the_text_streams_and_the_figures_follow(tiny_model: Path) -> None:
    done = jupyter("generate", "-m", tiny_model, "-p", "def f", "-n", "12", "-t", "1", "-s", "7", "-b", "8")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("def f")
    assert len(done.stdout) > len("def f")
    for line in (
        "load time",
        "sample time",
        "prompt time",
        "predict time",
        "total time",
        "mem per token",
        "seed            7",
    ):
        assert line in done.stderr


def test_the_same_seed_gives_the_same_text(tiny_model: Path) -> None:
    def text(*more: str) -> str:
        done = jupyter("generate", "-m", tiny_model, "-p", "x", "-n", "12", "--json", *more)
        return str(json.loads(done.stdout)["text"])

    assert text("-s", "3") == text("-s", "3")
    assert len({text("-s", str(seed)) for seed in range(3)}) > 1
    assert text("--temp", "0", "-s", "1") == text("--temp", "0", "-s", "2")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-n", "0"],
        ["-b", "0"],
        ["--top-p", "0"],
        ["--top-p", "nan"],
        ["--temp", "-1"],
        ["-t", "-1"],
        ["--top-k", "-1"],
    ],
)
def test_numbers_that_make_no_sense_are_refused(arguments: list[str], tiny_model: Path) -> None:
    done = jupyter("generate", "-m", tiny_model, "-p", "x", *arguments)
    assert done.returncode == 2
    assert "turbopilot: --" in done.stderr


def test_a_prompt_that_does_not_fit_is_refused_in_words(tiny_model: Path) -> None:
    done = jupyter("generate", "-m", tiny_model, "-p", "x" * 5000, "-n", "4")
    assert done.returncode == 2
    assert "context" in done.stderr


def test_speed_is_measured_by_threads_and_batch_and_remembered(tiny_model: Path, tmp_path: Path) -> None:
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


def test_a_bench_of_nothing_is_refused(tiny_model: Path) -> None:
    assert jupyter("bench", tiny_model, "-p", "0").returncode == 2
    assert jupyter("bench", tiny_model, "-t", "0").returncode == 2
    assert jupyter("bench", "no-such-model").returncode == 2


def test_unless_told_otherwise_prompts_are_read_in_the_pieces_that_the_server_reads() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    generate.add(commands)
    bench.add(commands)
    assert parser.parse_args(["generate"]).batch == CHUNK
    assert parser.parse_args(["bench"]).batch == [CHUNK]
