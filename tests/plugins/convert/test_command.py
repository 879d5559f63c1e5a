import json
from pathlib import Path

import pytest

from jupyter_turbopilot.models.gguf import read_header

from ...terminal.commands.running import jupyter, run


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["no/where/at-all"], "neither a folder nor"),
        (["."], "There is no config.json"),
        (["{checkpoint}", "-o", "."], "is a folder"),
        (["{checkpoint}", "--shards", "8"], "applies to CodeGen models only"),
        (["{checkpoint}", "--tokenizer", "./none"], "neither a folder nor"),
    ],
)
def test_convert_reports_unsupported_input_and_writes_nothing(
    arguments: list[str],
    reason: str,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = run(
        capsys, "models", "convert", *(one.format(checkpoint=checkpoint) for one in arguments)
    )
    assert status == 2
    assert reason in err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_convert_names_the_output_after_the_source_and_shows_progress(
    checkpoint: Path, tmp_path: Path
) -> None:
    done = jupyter("models", "convert", checkpoint, into=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "tiny-qwen-f16.gguf\n"
    assert "100%" in done.stderr
    assert (tmp_path / "tiny-qwen-f16.gguf").is_file()


@pytest.mark.parametrize("kind", ["F16", "Q4_0", "Q4_K_M", "Q8_0"])
def test_quantize_writes_a_file_that_generates(
    kind: str, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = tmp_path / "small.gguf"
    done = jupyter("models", "quantize", whole, small, kind)
    assert done.returncode == 0, done.stderr
    assert "bits per weight" in done.stdout.splitlines()[-1]
    assert "blk.0.attn_q.weight" in done.stdout
    status, out, err = run(
        capsys, "generate", "-m", str(small), "-p", "def f(x):", "-n", "4", "-s", "1", "--json"
    )
    assert status == 0, err
    assert json.loads(out)["predicted_tokens"] > 0
    assert list(tmp_path.iterdir()) == [small]


def test_quantize_refuses_a_quantised_file_without_force(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small, again = tmp_path / "small.gguf", tmp_path / "again.gguf"
    jupyter("models", "quantize", whole, small, "q8_0")
    status, _, err = run(capsys, "models", "quantize", str(small), str(again), "Q4_0")
    assert status == 2
    assert "quantised already (Q8_0)" in err
    assert not again.exists()
    assert jupyter("models", "quantize", small, again, "Q4_0", "--force").returncode == 0
    assert read_header(again).metadata["general.file_type"] == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["{whole}", "x.gguf", "Q9_Z"], "is not a type of quantisation"),
        (["{whole}", "{whole}", "Q8_0"], "Choose another name"),
        (["{whole}", "x.gguf"], "Choose a type"),
        (["none.gguf", "x.gguf", "Q8_0"], "There is no file"),
    ],
)
def test_quantize_reports_invalid_input_and_writes_nothing(
    arguments: list[str],
    reason: str,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, "models", "quantize", *(one.format(whole=whole) for one in arguments))
    assert status == 2
    assert reason in err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
