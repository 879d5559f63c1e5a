from pathlib import Path

import pytest

from .running import jupyter, run


def test_generate_streams_the_text_and_prints_timings(tiny_model: Path) -> None:
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


def test_generate_refuses_a_prompt_that_exceeds_the_context(
    capsys: pytest.CaptureFixture[str], tiny_model: Path
) -> None:
    status, _, err = run(capsys, "generate", "-m", str(tiny_model), "-p", "x" * 5000, "-n", "4")
    assert status == 2
    assert "context" in err
