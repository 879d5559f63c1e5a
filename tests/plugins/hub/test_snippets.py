"""The snippets, parsed by JupyterHub and YAML."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jupyterhub.roles
import yaml
from traitlets.config import Config

from jupyter_turbopilot.plugins.hub.environment import read_environment
from jupyter_turbopilot.plugins.hub.snippets import (
    CONFIG_DIR,
    DEFAULTS,
    in_cluster,
    on_host,
    service_unit,
    socket_unit,
)
from jupyter_turbopilot.plugins.remote.address import read_addresses
from jupyter_turbopilot.plugins.remote.settings import ENGINE_ALLOW_HTTP, ENGINE_AUTH, TurbopilotRemote
from jupyter_turbopilot.settings.access import LOCAL_ENGINES, access_of
from jupyter_turbopilot.settings.config import ENGINE_URL, Turbopilot

if TYPE_CHECKING:
    import pytest

SCOPE = "access:services!service=turbopilot"
HERE = ("/opt/it's/bin/python", "/srv/models")


def read(before: str = "") -> Any:
    from jupyterhub.app import JupyterHub

    config = Config()
    exec(before + on_host(*HERE, "Somewhere."), {"c": config})  # noqa: S102
    return JupyterHub(config=config), config


def test_jupyterhub_accepts_the_service_and_both_roles() -> None:
    hub, _ = read()
    (service,) = hub.services
    assert service["command"] == ["/opt/it's/bin/python", "-m", "jupyter_turbopilot.cli", "serve", "--hub"]
    assert service["environment"] == {"TURBOPILOT_MODELS": "/srv/models", "JUPYTER_CONFIG_DIR": CONFIG_DIR}
    assert {role["name"]: role["scopes"][-1] for role in hub.load_roles} == {"user": SCOPE, "server": SCOPE}


def test_snippet_keeps_the_administrators_settings() -> None:
    before = "c.JupyterHub.services = [{'name': 'a'}]\nc.JupyterHub.load_roles = [{'name': 'b'}]\n"
    before += "c.Spawner.environment = {'LANG': 'C'}\n"
    hub, config = read(before)
    assert [service["name"] for service in hub.services] == ["a", "turbopilot"]
    assert [role["name"] for role in hub.load_roles] == ["b", "user", "server"]
    assert config.Spawner.environment["LANG"] == "C"


def test_default_scopes_are_jupyterhubs() -> None:
    own = {role["name"]: role["scopes"] for role in jupyterhub.roles.get_default_roles()}
    assert {name: own[name] for name in DEFAULTS} == DEFAULTS


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
    assert unit(socket_unit())["Socket"]["ListenStream"] == ["127.0.0.1:10101"]
    service = unit(service_unit(*HERE, ""))
    assert service["Unit"]["Requires"] == ["turbopilot.socket"]
    assert service["Service"]["User"] == ["turbopilot"]
    environment = dict(line.strip('"').split("=", 1) for line in service["Service"]["Environment"])
    found = read_environment(environment)
    assert (found.name, found.port) == ("turbopilot", 10101)
    assert environment["JUPYTER_CONFIG_DIR"] == CONFIG_DIR


def test_unit_quotes_paths() -> None:
    service = unit(service_unit("/opt/a b/50%/$x/python", "/srv/a b", "ghost"))["Service"]
    assert service["ExecStart"] == ['"/opt/a b/50%%/$$x/python" -m jupyter_turbopilot.cli serve --hub']
    assert service["Environment"][0] == '"TURBOPILOT_MODELS=/srv/a b"'
    assert service["User"] == ["ghost"]


def test_entry_has_the_account_of_the_service() -> None:
    config = Config()
    exec(on_host(*HERE, "", user="ghost"), {"c": config})  # noqa: S102
    (entry,) = config.JupyterHub.services.get_value([])
    assert entry["user"] == "ghost"


def test_chart_values_use_the_proxys_address() -> None:
    values = yaml.safe_load(in_cluster())
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
    path = Path(__file__).parents[3] / "deploy" / "hub-service.yaml"
    deployment, service = yaml.safe_load_all(path.read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    found = read_environment({each["name"]: each["value"] for each in container["env"]})
    assert found.name == "turbopilot"
    url = yaml.safe_load(in_cluster())["hub"]["services"]["turbopilot"]["url"]
    assert url == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert found.port == service["spec"]["ports"][0]["port"]
    assert container["readinessProbe"]["httpGet"] == {"path": f"{found.prefix}health", "port": found.port}
    assert service["spec"]["selector"] == {"app": deployment["spec"]["template"]["metadata"]["labels"]["app"]}
