from __future__ import annotations

import pytest

from jupyter_turbopilot import cli
from tests.test_start import modules_after


def test_help_lists_the_commands_and_imports_none() -> None:
    shown = " ".join(cli.parser().format_help().split())
    assert "eval replay notebooks and measure how useful" in shown
    assert "train fine-tune a model to your notebooks and code, on this machine only" in shown
    assert "usage-log summarise the usage log" in shown
    loaded = modules_after("from jupyter_turbopilot import cli; cli.parser().format_help()")
    assert "turbopilot_research.commands" in loaded
    assert not loaded & {
        "turbopilot_research.evaluate",
        "turbopilot_research.train",
        "turbopilot_research.usage",
    }


@pytest.mark.parametrize(
    "line",
    [
        "train . --minutes 0",
        "train . --rank 100000",
        "train . --rate 1",
        "train . --cells -1",
        "train . --context 1",
        "train . --held-out 0.9",
        "train . --positions -1",
        "train . --width 1",
        "train . --layers 0",
        "train . --heads 0",
        "train . --scratch --length 8192",
        "eval notebooks a --requests -1",
        "eval notebooks a --clock 19",
        "eval notebooks a --busy 65",
    ],
)
def test_options_out_of_range_name_option_and_range(capsys: pytest.CaptureFixture[str], line: str) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(line.split())
    assert ended.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert line.split()[-2] in error
    assert "must be a " in error
