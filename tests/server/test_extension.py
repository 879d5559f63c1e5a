from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_turbopilot.engine.remote import key
from jupyter_turbopilot.server.extension import any_kernel_busy


def test_a_kernel_that_ends_while_it_is_looked_at_is_not_busy() -> None:
    class Kernels:
        def list_kernel_ids(self) -> list[str]:
            return ["gone", "idle", "busy"]

        def get_kernel(self, name: str) -> object:
            if name == "gone":
                raise KeyError(name)
            return SimpleNamespace(execution_state=name)

    assert any_kernel_busy(Kernels())
    kernels = Kernels()
    kernels.list_kernel_ids = lambda: ["gone", "idle"]  # type: ignore[method-assign]
    assert not any_kernel_busy(kernels)


@pytest.fixture
def jp_server_config(monkeypatch: pytest.MonkeyPatch, jp_config_dir: Path) -> dict[str, object]:
    (jp_config_dir / "jupyter_turbopilot_config.py").write_text("c.Turbopilot.max_lines = 3\n")
    monkeypatch.setenv(key.ENGINE_KEY, "sk-hush")
    monkeypatch.setattr(key, "_taken", {})
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_turbopilot": True}},
        "Turbopilot": {
            "engine": "remote",
            "load_at_start": False,
            "study_log": str(jp_config_dir / "study.jsonl"),
        },
        "TurbopilotRemote": {"urls": ["http://127.0.0.1:9/v1"]},
    }


async def test_kernels_do_not_inherit_the_key_of_a_server_elsewhere(jp_serverapp: Any) -> None:
    assert key.ENGINE_KEY not in os.environ
    (app,) = jp_serverapp.extension_manager.extension_apps["jupyter_turbopilot"]
    assert app.pilot.kind.address == "127.0.0.1:9"  # the section beside `Turbopilot` is read too
    assert key.read_key("", provider=False) == "sk-hush"


async def test_the_server_reads_the_file_of_settings_that_the_command_line_reads(jp_serverapp: Any) -> None:
    (app,) = jp_serverapp.extension_manager.extension_apps["jupyter_turbopilot"]
    assert app.pilot.settings.max_lines == 3


async def test_pages_of_the_server_are_told_that_it_completes(jp_serverapp: Any) -> None:
    assert jp_serverapp.web_app.settings["page_config_data"]["jupyterTurbopilot"] == "server"


async def test_the_server_logs_suggestions_where_the_settings_say(
    jp_serverapp: Any, jp_config_dir: Path
) -> None:
    (app,) = jp_serverapp.extension_manager.extension_apps["jupyter_turbopilot"]
    assert app.pilot.completer.study.name == str(jp_config_dir / "study.jsonl")
