"""The product's status, health report and settings with this package installed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from traitlets.config import Config

from jupyter_turbopilot.completer.listeners import Listeners
from jupyter_turbopilot.jupyter.describe import describe_health
from jupyter_turbopilot.settings.config import Turbopilot
from tests.index.folders import until
from tests.scripted_engine import ScriptedEngine, pilot_with
from tests.terminal.conftest import Shell, shell
from tests.terminal.test_magics import loaded, prompt, run, says

__all__ = ["prompt", "says", "shell"]  # fixtures


def test_health_describes_the_study_log_to_logged_users(tmp_path: Path, tiny_model: Path) -> None:
    file = tmp_path / "study.jsonl"
    config = Config(TurbopilotUsageLog={"text": True})
    settings = Turbopilot(config=config, model=str(tiny_model), usage_log=str(file))
    pilot = pilot_with(settings, lambda *_: ScriptedEngine())
    pilot.completer.listeners.load(settings, "server")
    try:
        known = {"text": True, "file": str(file), "error": None}
        assert describe_health(pilot, own=True, logged=True)["usage_log"] == known
        assert describe_health(pilot, logged=True)["usage_log"] == known | {"file": None}
        assert describe_health(pilot)["usage_log"] is None
        file.mkdir()
        pilot.completer.listeners = Listeners()
        pilot.completer.listeners.load(settings, "server")
        until(lambda: "a folder" in (describe_health(pilot, logged=True)["usage_log"]["error"] or ""))
    finally:
        pilot.stop()


@pytest.mark.usefixtures("prompt")
def test_turbopilot_on_logs_ghost_text_and_not_magics(
    shell: Shell, says: Callable[..., ScriptedEngine], tmp_path: Path
) -> None:
    says("1")
    local = loaded(shell).local
    assert local
    log = tmp_path / "study.jsonl"
    local.pilot.settings.usage_log = str(log)
    assert "Usage log" not in run(shell, "%turbopilot").stdout
    assert f"Suggestions are logged in {log}" in run(shell, "%turbopilot on").stdout
    assert f"Usage log: on (numbers, no text, in {log})" in run(shell, "%turbopilot").stdout
    listeners = [*local.pilot.completer.listeners]
    run(shell, "%turbopilot on")
    assert [*local.pilot.completer.listeners] == listeners
    run(shell, "%%complete\nx = ")
    assert shell.next_input == ("x = 1", False)
    local.pilot.stop()
    assert not log.exists()
