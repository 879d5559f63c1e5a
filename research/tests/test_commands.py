from __future__ import annotations

from jupyter_turbopilot import cli
from tests.test_start import modules_after


def test_help_lists_the_commands_and_imports_neither() -> None:
    shown = " ".join(cli.parser().format_help().split())
    assert "eval replay notebooks and measure how useful" in shown
    assert "train fine-tune a model to your notebooks and code, on this machine only" in shown
    loaded = modules_after("from jupyter_turbopilot import cli; cli.parser().format_help()")
    assert "turbopilot_research.commands" in loaded
    assert not loaded & {"turbopilot_research.evaluate", "turbopilot_research.train"}
