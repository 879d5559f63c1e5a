"""The commands through their real command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_turbopilot.engine.llama.quantize import kinds
from jupyter_turbopilot.models.ggml import NEEDS_MATRIX
from jupyter_turbopilot.models.gguf import read_header


def jupyter(*arguments: object, into: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "jupyter"), "turbopilot", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=into, timeout=120)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.models.convert import families

    folder = tmp_path_factory.mktemp("checkpoint") / "tiny-qwen"
    # Rows of 256: what llama.cpp's finer types divide a row into.
    families.make("qwen2", folder, hidden_size=256, intermediate_size=256, num_hidden_layers=2)
    return folder


@pytest.fixture(scope="module")
def whole(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    done = jupyter("models", "convert", checkpoint, into=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "tiny-qwen-f16.gguf\n"
    assert "100%" in done.stderr
    return folder / "tiny-qwen-f16.gguf"


def test_a_converted_model_is_described(whole: Path) -> None:
    said = jupyter("models", "info", whole).stdout
    assert "qwen2, 2 layers" in said
    assert "F16" in said
    found = json.loads(jupyter("models", "info", whole, "--json", "--context", "64").stdout)
    assert found["memory"]["context"] == 64
    assert (
        found["memory"]["cache"] == 2 * 64 * 2 * 2 * 64 * 2
    )  # layers, tokens, K and V, heads, their size, bytes
    assert found["fim"] == "none"


@pytest.mark.parametrize("kind", sorted(set(kinds()) - set(NEEDS_MATRIX)))
def test_every_type_is_written_loaded_and_generates(kind: str, whole: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.gguf"
    done = jupyter("models", "quantize", whole, small, kind)
    assert done.returncode == 0, done.stderr
    assert "bits a weight" in done.stdout.splitlines()[-1]
    assert "blk.0.attn_q.weight" in done.stdout
    made = jupyter("generate", "-m", small, "-p", "def f(x):", "-n", "4", "-s", "1", "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["predicted_tokens"] > 0
    assert list(tmp_path.iterdir()) == [small]


@pytest.mark.parametrize("kind", NEEDS_MATRIX)
def test_a_type_that_needs_a_matrix_is_refused_before_llama_cpp_is_asked(
    kind: str, whole: Path, tmp_path: Path
) -> None:
    done = jupyter("models", "quantize", whole, tmp_path / "small.gguf", kind)
    assert done.returncode == 2
    assert "importance matrix" in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_is_quantised_is_not_quantised_again_without_a_word(whole: Path, tmp_path: Path) -> None:
    small, again = tmp_path / "small.gguf", tmp_path / "again.gguf"
    jupyter("models", "quantize", whole, small, "q8_0")
    done = jupyter("models", "quantize", small, again, "Q4_0")
    assert done.returncode == 2
    assert "quantised already (Q8_0)" in done.stderr
    assert not again.exists()
    assert jupyter("models", "quantize", small, again, "Q4_0", "--force").returncode == 0
    assert read_header(again).metadata["general.file_type"] == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["convert", "no/where/at-all"], "neither a folder nor"),
        (["convert", "."], "There is no config.json"),
        (["convert", "{checkpoint}", "-o", "."], "is a folder"),
        (["convert", "{checkpoint}", "--shards", "8"], "for CodeGen alone"),
        (["convert", "{checkpoint}", "--tokenizer", "./none"], "neither a folder nor"),
        (["quantize", "{whole}", "x.gguf", "Q9_Z"], "There is no type"),
        (["quantize", "{whole}", "{whole}", "Q8_0"], "over its source"),
        (["quantize", "{whole}", "x.gguf"], "Which type"),
        (["quantize", "none.gguf", "x.gguf", "Q8_0"], "There is no file"),
        (["info", "./none.gguf"], "There is no file"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(
    arguments: list[str], reason: str, checkpoint: Path, whole: Path, tmp_path: Path
) -> None:
    filled = [argument.format(checkpoint=checkpoint, whole=whole) for argument in arguments]
    done = jupyter("models", *filled, into=tmp_path)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_damaged_checkpoint_ends_with_2_and_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "hf")
    data = (tmp_path / "hf" / "model.safetensors").read_bytes()
    (tmp_path / "hf" / "model.safetensors").write_bytes(data[:-100])
    done = jupyter("models", "convert", tmp_path / "hf", "-o", tmp_path / "model.gguf")
    assert done.returncode == 2
    assert "damaged or was cut" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["hf"]


def test_it_is_said_which_model_suits_this_machine() -> None:
    done = jupyter("models", "recommend")
    assert done.returncode == 0
    assert done.stdout.count("recommended") == 1
    assert "guessed" in done.stdout
    assert "codegen-16b-mono" in jupyter("models", "recommend", "--all").stdout
