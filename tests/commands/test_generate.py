from __future__ import annotations

import json
from pathlib import Path

from .process import jupyter


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


def test_a_prompt_that_does_not_fit_is_refused_in_words(tiny_model: Path) -> None:
    done = jupyter("generate", "-m", tiny_model, "-p", "x" * 5000, "-n", "4")
    assert done.returncode == 2
    assert "context" in done.stderr
