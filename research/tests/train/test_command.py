"""`jupyter turbopilot train` on the command line, with a tiny real model."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.tuning.adapters import check


def train(
    *arguments: object, into: Path, code: int = 0, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "jupyter"), "turbopilot", "train", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=into, timeout=timeout)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder of notebooks."""
    folder = tmp_path / "work"
    folder.mkdir()
    for number in range(8):
        cells = [
            {"cell_type": "markdown", "source": "# Sales"},
            *(
                {
                    "cell_type": "code",
                    "source": f"table{number} = load('part{part}')\ntable{number}['total{part}'].plot()\n",
                }
                for part in range(4)
            ),
        ]
        (folder / f"{number}.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}}))
    (folder / "keys.ipynb").write_text(
        json.dumps({"cells": [{"cell_type": "code", "source": "api_key = 'a1b2c3d4e5f6'\n"}], "metadata": {}})
    )
    return folder


def test_train_writes_an_adapter_and_reports_the_gain(work: Path, tiny_model: Path, tmp_path: Path) -> None:
    done = train(work, "-m", tiny_model, "--minutes", 0.2, "--positions", 12, "--rank", 4, into=tmp_path)
    assert re.search(r"8 documents, 0\.1 MB of code; left out: 1 .*secrets, 1 without code", done.stdout)
    assert "28 cells to train on, 1 documents held out for the test" in done.stdout
    assert re.search(r"adapter\.gguf: [\d.]+ MB\. \d+ steps, \d+ samples", done.stdout)
    assert re.search(r"Loss on the held-out documents: \d\.\d+ before, \d\.\d+ after", done.stdout)
    assert re.search(r"of 12 lines completed exactly without, .* with: .* points", done.stdout)
    assert re.search(r"Replayed \d+ keystrokes: without, .* saved \S+; with, .* saved \S+\.", done.stdout)
    assert f"c.Turbopilot.adapters = ['default', '{tmp_path}/adapter.gguf']" in done.stdout
    assert "100%" in done.stderr
    header = check(tmp_path / "adapter.gguf", "llama")
    assert {part.name.split(".")[1] for part in header.parts} == {"1"}  # the upper half of two layers
    assert (tmp_path / "adapter.svg").read_text().startswith("<?xml")
    before, after = map(float, re.search(r"(\d\.\d+) before, (\d\.\d+) after", done.stdout).groups())  # type: ignore[union-attr]
    assert after < before


def test_train_resumes_an_interrupted_training(work: Path, tiny_model: Path, tmp_path: Path) -> None:
    asked = (work, "-m", tiny_model, "--positions", 0, "--rank", 4, "--minutes")
    command = [str(Path(sys.executable).parent / "jupyter"), "turbopilot", "train", *map(str, asked), "0.3"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr
        for line in child.stderr:
            if "step" in line:
                break
        child.send_signal(signal.SIGINT)
        rest = child.stderr.read()
    assert child.returncode == 130
    assert "stopped" in rest
    assert not (tmp_path / "adapter.gguf").exists()
    assert "Resuming" in train(*asked, 0.1, into=tmp_path).stderr
    assert (tmp_path / "adapter.gguf").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["nowhere"], 2, "nowhere does not exist"),
        (["."], 1, "0 cells to train on; at least 20 are needed"),
        (
            [".", "--language", "r", "klingon"],
            2,
            "--language klingon r: no code in this language was found.*found: none",
        ),
        ([".", "-o", "adapter.bin"], 2, r"must end with \.gguf"),
        ([".", "-m", "codegen-350m-mono"], 1, "cells to train on"),
    ],
)
def test_train_refuses_invalid_options(arguments: list[str], code: int, reason: str, tmp_path: Path) -> None:
    assert re.search(reason, train(*arguments, into=tmp_path, code=code).stderr)


def test_train_from_scratch_fine_tunes_to_each_language(work: Path, tmp_path: Path) -> None:
    (work / "tools").mkdir()
    for number in range(60):
        line = f"export function scale{number}(value) {{\n  return value * {number} + 1;\n}}\n\n\n"
        (work / "tools" / f"{number}.js").write_text(line * 4)
    asked = ("--width", 64, "--layers", 2, "--heads", 2, "--minutes", 0.3, "--positions", 6)
    done = train(work, "--scratch", "--each-language", *asked, "-o", "small.gguf", into=tmp_path)
    assert "python" not in done.stdout.partition("small-")[2]  # too few cells
    for name in ("small.gguf", "small-javascript.gguf"):
        assert f"{name}: 0." in done.stdout
        assert read_header(tmp_path / name).architecture == "llama"
    assert f"c.Turbopilot.model = '{tmp_path}/small.gguf'" in done.stdout
    assert "For browsers: models.json" in done.stdout
    models = json.loads((tmp_path / "models.json").read_text())["models"]
    assert [(one["url"], one.get("language")) for one in models] == [
        ("small-q8.gguf", None),
        ("small-javascript-q8.gguf", "javascript"),
    ]
    before, after = map(float, re.search(r"(\d\.\d+) before, (\d\.\d+) after", done.stdout).groups())  # type: ignore[union-attr]
    assert after < before
