import json
from pathlib import Path

import pytest

from tests.terminal.commands.running import jupyter, run


def test_speed_measures_by_threads_and_batch(tiny_model: Path) -> None:
    done = jupyter("eval", "speed", tiny_model, "-t", "1,2", "-b", "16,64", "-p", "64", "-n", "8", "-r", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(tiny_model.name) == 4
    found = json.loads(
        jupyter("eval", "speed", tiny_model, "-t", "1", "-p", "64", "-n", "8", "-r", "1", "--json").stdout
    )
    assert found[0]["written"] == 8
    assert found[0]["prompt_a_second"] > 0


def test_speed_refuses_long_prompts_and_unknown_models(
    capsys: pytest.CaptureFixture[str], tiny_model: Path
) -> None:
    status, _, err = run(capsys, "eval", "speed", str(tiny_model), "-p", "100000")
    assert (status, "maximum context length" in err) == (2, True)
    for model in ("no-such-model", "./no-such-file.gguf"):
        status, _, err = run(capsys, "eval", "speed", model)
        assert (status, "no model" in err) == (2, True)


@pytest.mark.parametrize("line", ["-t 0", "-t 1,x", "-b 5000", "-p 0", "-n 1", "-r 0"])
def test_speed_refuses_options_out_of_range(capsys: pytest.CaptureFixture[str], line: str) -> None:
    status, _, err = run(capsys, "eval", "speed", *line.split())
    assert (status, "must be a " in err) == (2, True)
