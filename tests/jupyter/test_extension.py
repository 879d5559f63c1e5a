import json
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_server.serverapp import ServerApp

from jupyter_turbopilot.cli import read_settings
from jupyter_turbopilot.jupyter.extension import TurbopilotExtension, any_kernel_busy
from jupyter_turbopilot.plugins.remote import address
from jupyter_turbopilot.settings.config import EngineSection, Turbopilot

SETTINGS_FILES = [
    f"{folder}/jupyter_{name}_config{ending}"
    for folder in ("own", "shared")
    for name in ("server", "turbopilot")
    for ending in (".py", ".json")
]


def test_kernel_that_ends_meanwhile_is_not_busy() -> None:
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


def test_numeric_libraries_are_imported_only_to_load_a_model() -> None:
    code = (
        "import sys; from jupyter_turbopilot.jupyter import extension; extension._import_others(); "
        "from jupyter_turbopilot.jupyter.pilot.pilot import Pilot; Pilot(extension.Turbopilot()); "
        "print({'numpy', 'gguf', 'llama_cpp'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "set()", done.stderr


def test_engine_that_raises_an_error_denies_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: EngineSection) -> None:
        raise KeyError("SECRET")

    monkeypatch.setattr(EngineSection, "take_secrets", fail)
    _, access = TurbopilotExtension()._read_settings()
    assert access.is_invalid
    assert "(KeyError)" in access.reason


def test_plugin_whose_settings_import_the_extension_is_used(tmp_path: Path) -> None:
    (tmp_path / "far.py").write_text(
        "from jupyter_turbopilot.jupyter.extension import TurbopilotExtension\n"
        "from jupyter_turbopilot.settings.config import EngineSection as Far\n"
    )
    code = (
        "from jupyter_turbopilot.util import registry; registry.IMPORT_SECONDS = 10\n"
        "registry.registered = lambda: {'settings': [registry.Entry('far', 'far:Far')]}\n"
        "from jupyter_turbopilot.jupyter.extension import TurbopilotExtension as Extension\n"
        "print([kind.__name__ for kind in Extension().classes])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stdout.strip() == "['TurbopilotExtension', 'Turbopilot', 'EngineSection']", done.stderr


@pytest.fixture
def jp_server_config(monkeypatch: pytest.MonkeyPatch, jp_config_dir: Path) -> dict[str, object]:
    (jp_config_dir / "jupyter_turbopilot_config.py").write_text("c.Turbopilot.max_tokens = 3\n")
    monkeypatch.setenv(address.ENGINE_KEY, "sk-hush")
    monkeypatch.setattr(address, "_taken", {})
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_turbopilot": True}},
        "Turbopilot": {
            "engine": "remote",
            "load_at_start": False,
            "usage_log": str(jp_config_dir / "study.jsonl"),
        },
        "TurbopilotRemote": {"url": "http://127.0.0.1:9/v1"},
    }


async def test_kernels_do_not_inherit_the_remote_servers_key(jp_serverapp: Any) -> None:
    assert address.ENGINE_KEY not in os.environ
    (app,) = jp_serverapp.extension_manager.extension_apps["jupyter_turbopilot"]
    assert app.pilot.kind.address == "127.0.0.1:9"  # the section `TurbopilotRemote` is read too
    assert address.read_key("", provider=False) == "sk-hush"


@pytest.mark.parametrize("files", combinations(SETTINGS_FILES, 2), ids=" ".join)
def test_override_file_is_the_same_for_server_and_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[str, str]
) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path / "shared"))
    for lines, file in enumerate(files, 3):
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        as_json = json.dumps({"Turbopilot": {"max_tokens": lines}})
        path.write_text(as_json if path.suffix == ".json" else f"c.Turbopilot.max_tokens = {lines}\n")
    server, extension = ServerApp(), TurbopilotExtension()
    server.load_config_file()
    extension._link_jupyter_server_extension(server)
    in_server = Turbopilot(config=extension.config).max_tokens
    assert read_settings().max_tokens == in_server
    assert in_server in {3, 4}


async def test_page_config_names_the_server(jp_serverapp: Any) -> None:
    assert jp_serverapp.web_app.settings["page_config_data"]["jupyterTurbopilot"] == "server"
