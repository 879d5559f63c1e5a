import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import jupyterhub.roles
import pytest
import yaml
from traitlets.config import Config

from jupyter_turbopilot.plugins.remote.address import read_addresses
from jupyter_turbopilot.plugins.remote.settings import ENGINE_ALLOW_HTTP, ENGINE_AUTH, TurbopilotRemote
from jupyter_turbopilot.settings.access import LOCAL_ENGINES, access_of
from jupyter_turbopilot.settings.config import ENGINE_URL, Turbopilot
from tests.terminal.commands.running import run
from turbopilot_service.hub import command
from turbopilot_service.hub.command import on_host, service_unit, template
from turbopilot_service.hub.identity import read_environment


@pytest.mark.parametrize(("kind", "name"), [("helm", "helm.yaml"), ("systemd-socket", "turbopilot.socket")])
def test_hub_config_prints_files(capsys: pytest.CaptureFixture[str], kind: str, name: str) -> None:
    assert run(capsys, "hub-config", "--kind", kind)[:2] == (0, template(name))


@pytest.mark.parametrize("kind", ["hub", "tljh", "systemd", "systemd-service"])
def test_hub_config_uses_this_installation_and_its_models(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    monkeypatch.setenv("TURBOPILOT_MODELS", str(tmp_path))
    status, out, _ = run(capsys, "hub-config", "--kind", kind, "--user", "ghost")
    assert status == 0
    if kind != "systemd-service":
        compile(out, kind, "exec")
    managed = kind != "systemd"
    assert (sys.executable in out, "ghost" in out) == (managed, managed)
    assert str(tmp_path) in out
    assert ("jupyterhub_config.d" in out) == (kind == "tljh")


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
        monkeypatch.setattr(command, "__file__", str(environment / "hub" / "command.py"))
        assert f"read {home}. Install jupyter-turbopilot" in run(capsys, "hub-config")[2]


# The configuration, parsed by JupyterHub and YAML ------------------------------------------------------

SCOPE = "access:services!service=turbopilot"
HERE = ("/opt/it's/bin/python", "/srv/models")


def read(before: str = "") -> Any:
    from jupyterhub.app import JupyterHub

    config = Config()
    exec(before + on_host(*HERE, "Somewhere.", user="ghost"), {"c": config})  # noqa: S102
    return JupyterHub(config=config), config


def test_jupyterhub_accepts_the_service_and_both_roles() -> None:
    hub, _ = read()
    (service,) = hub.services
    assert service["command"] == ["/opt/it's/bin/python", "-m", "jupyter_turbopilot.cli", "serve", "--hub"]
    assert service["user"] == "ghost"
    assert service["environment"] == {
        "TURBOPILOT_MODELS": "/srv/models",
        "JUPYTER_CONFIG_DIR": "/etc/turbopilot",
    }
    assert {role["name"]: role["scopes"][-1] for role in hub.load_roles} == {"user": SCOPE, "server": SCOPE}


def test_snippet_keeps_the_administrators_settings() -> None:
    before = "c.JupyterHub.services = [{'name': 'a'}]\nc.JupyterHub.load_roles = [{'name': 'b'}]\n"
    before += "c.Spawner.environment = {'LANG': 'C'}\n"
    hub, config = read(before)
    assert [service["name"] for service in hub.services] == ["a", "turbopilot"]
    assert [role["name"] for role in hub.load_roles] == ["b", "user", "server"]
    assert config.Spawner.environment["LANG"] == "C"


def test_default_scopes_are_jupyterhubs() -> None:
    hub, _ = read()
    theirs = {role["name"]: role["scopes"] for role in jupyterhub.roles.get_default_roles()}
    assert [role["scopes"] for role in hub.load_roles] == [
        [*theirs[role["name"]], SCOPE] for role in hub.load_roles
    ]


def test_spawned_server_uses_the_services_address(monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyterhub.spawner import Spawner

    hub, config = read()
    for name, value in Spawner(config=config).environment.items():
        monkeypatch.setenv(name, value)
    settings = Turbopilot()
    assert (settings.engine, settings.section(TurbopilotRemote).auth) == ("remote", "jupyterhub")
    assert access_of(settings, os.environ).only_remote
    (address,) = read_addresses(
        settings.section(TurbopilotRemote).urls, allow_http=settings.section(TurbopilotRemote).allow_http
    )
    service = read_environment(
        {
            "JUPYTERHUB_SERVICE_NAME": hub.services[0]["name"],
            "JUPYTERHUB_SERVICE_PREFIX": f"/services/{hub.services[0]['name']}/",
            "JUPYTERHUB_SERVICE_URL": hub.services[0]["url"],
            "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/hub/api",
        }
    )
    assert address.root == f"http://{service.host}:{service.port}{service.prefix.rstrip('/')}"


def unit(text: str) -> dict[str, dict[str, list[str]]]:
    """Return the sections of a systemd unit; a setting can occur several times."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            section = sections[line.strip("[]")] = {}
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            section.setdefault(name, []).append(value)
    return sections


def test_units_reserve_the_port_of_the_hubs_entry() -> None:
    config = Config()
    exec(on_host(*HERE, "Somewhere.", managed=False), {"c": config})  # noqa: S102
    (entry,) = config.JupyterHub.services.get_value([])
    assert entry == {"name": "turbopilot", "url": "http://127.0.0.1:10101"}
    assert unit(template("turbopilot.socket"))["Socket"]["ListenStream"] == ["127.0.0.1:10101"]
    service = unit(service_unit(*HERE, ""))
    assert service["Unit"]["Requires"] == ["turbopilot.socket"]
    assert service["Service"]["User"] == ["turbopilot"]
    environment = dict(line.strip('"').split("=", 1) for line in service["Service"]["Environment"])
    found = read_environment(environment)
    assert (found.name, found.port) == ("turbopilot", 10101)
    assert environment["JUPYTER_CONFIG_DIR"] == "/etc/turbopilot"


def test_unit_quotes_paths() -> None:
    service = unit(service_unit("/opt/a b/50%/$x/python", "/srv/a b", "ghost"))["Service"]
    assert service["ExecStart"] == ['"/opt/a b/50%%/$$x/python" -m jupyter_turbopilot.cli serve --hub']
    assert service["Environment"][0] == '"TURBOPILOT_MODELS=/srv/a b"'
    assert service["User"] == ["ghost"]


def test_chart_values_use_the_proxys_address() -> None:
    values = yaml.safe_load(template("helm.yaml"))
    hub, _ = read()
    assert values["hub"]["services"] == {"turbopilot": {"url": "http://turbopilot:10101"}}
    roles = {name: role["scopes"] for name, role in values["hub"]["loadRoles"].items()}
    assert roles == {role["name"]: role["scopes"] for role in hub.load_roles}
    environment = values["singleuser"]["extraEnv"]
    assert environment.keys() == {ENGINE_URL, ENGINE_AUTH, ENGINE_ALLOW_HTTP, LOCAL_ENGINES}
    assert all(isinstance(value, str) for value in environment.values())
    (address,) = read_addresses([environment[ENGINE_URL]], allow_http=environment[ENGINE_ALLOW_HTTP] == "1")
    assert address.host == "proxy-public"


def test_documented_deployment_fits_the_values_and_starts_a_service() -> None:
    path = Path(__file__).parents[2] / "deploy" / "hub-service.yaml"
    deployment, service = yaml.safe_load_all(path.read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    found = read_environment({each["name"]: each["value"] for each in container["env"]})
    assert found.name == "turbopilot"
    url = yaml.safe_load(template("helm.yaml"))["hub"]["services"]["turbopilot"]["url"]
    assert url == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert found.port == service["spec"]["ports"][0]["port"]
    assert container["readinessProbe"]["httpGet"] == {"path": f"{found.prefix}health", "port": found.port}
    assert service["spec"]["selector"] == {"app": deployment["spec"]["template"]["metadata"]["labels"]["app"]}
