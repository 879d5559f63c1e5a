from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from jupyter_turbopilot.plugins.hub import command

from ...terminal.commands.running import run


@pytest.mark.parametrize("kind", ["hub", "tljh"])
def test_hub_config_uses_this_installation_and_its_models(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    monkeypatch.setenv("TURBOPILOT_MODELS", str(tmp_path))
    status, out, _ = run(capsys, "hub-config", "--kind", kind)
    assert status == 0
    compile(out, kind, "exec")
    assert repr(sys.executable) in out
    assert repr(str(tmp_path)) in out
    assert ("jupyterhub_config.d" in out) == (kind == "tljh")


def test_hub_config_prints_chart_values(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "hub-config", "--kind", "helm")
    assert status == 0
    assert yaml.safe_load(out)["hub"]["services"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such accounts")
def test_hub_config_reports_a_missing_account(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no account gh0st" in run(capsys, "hub-config", "--user", "gh0st")[2]
    assert "no account turbopilot" in run(capsys, "hub-config", "--kind", "systemd-service")[2]
    assert "no account" not in run(capsys, "hub-config", "--user", "root")[2]


def test_hub_config_reports_a_folder_without_a_model(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        monkeypatch.setenv("TURBOPILOT_MODELS", str(folder))
        status, _, err = run(capsys, "hub-config")
        assert status == 0
        assert f"no model in {folder}" in err


def test_hub_config_reports_a_folder_that_is_not_accessible(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as home:  # accessible only to its owner
        folder = Path(home) / "models"
        folder.mkdir()
        (folder / "model.gguf").touch()
        monkeypatch.setenv("TURBOPILOT_MODELS", str(folder))
        _, _, err = run(capsys, "hub-config")
        assert f"read {home}. Set TURBOPILOT_MODELS" in err
        Path(home).chmod(0o755)
        assert str(folder) not in run(capsys, "hub-config")[2]


def test_hub_config_reports_a_model_that_is_not_readable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    model = tmp_path / "model.gguf"
    model.touch(mode=0o600)
    monkeypatch.setenv("TURBOPILOT_MODELS", str(tmp_path))
    assert f"read {model}. Set TURBOPILOT_MODELS" in run(capsys, "hub-config")[2]
    model.chmod(0o644)
    assert str(model) not in run(capsys, "hub-config")[2]


def test_hub_config_reports_an_environment_that_is_not_accessible(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as home:  # accessible only to its owner
        (environment := Path(home) / "venv").mkdir()
        (program := environment / "python").touch(mode=0o755)
        monkeypatch.setattr(sys, "prefix", str(environment))
        monkeypatch.setattr(sys, "executable", str(program))
        monkeypatch.setattr(command, "__file__", str(environment / "plugins" / "hub" / "command.py"))
        assert f"read {home}. Install jupyter-turbopilot" in run(capsys, "hub-config")[2]


def test_hub_config_prints_systemd_units(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TURBOPILOT_MODELS", str(tmp_path))
    socket_unit = run(capsys, "hub-config", "--kind", "systemd-socket")[1]
    assert "ListenStream=127.0.0.1:" in socket_unit
    service = run(capsys, "hub-config", "--kind", "systemd-service", "--user", "ghost")[1]
    assert f'ExecStart="{sys.executable}" -m' in service
    assert f'Environment="TURBOPILOT_MODELS={tmp_path}"' in service
    assert "User=ghost" in service
    entry = run(capsys, "hub-config", "--kind", "systemd")[1]
    compile(entry, "systemd", "exec")
    assert "serve" not in entry.replace("server", "")
