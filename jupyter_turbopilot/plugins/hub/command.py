"""`jupyter turbopilot hub-config`: print the configuration of a JupyterHub."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jupyter_turbopilot.models.folder import models_dir
from jupyter_turbopilot.plugins.hub.client import MANAGE_SCOPE, scope_for

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from jupyter_turbopilot.settings.config import Turbopilot

AT_END = (
    "Add this to the end of jupyterhub_config.py, where no later\n# assignment discards it. Then restart the "
    "hub and the users' servers."
)
INSTRUCTIONS = {
    "hub": AT_END,
    "tljh": "Save this as /opt/tljh/config/jupyterhub_config.d/turbopilot.py, then run "
    "`tljh-config reload` and restart the users' servers.",
    "systemd": AT_END,
}
UNITS = ("systemd-socket", "systemd-service")
NAME = "turbopilot"
PORT = 10101
CONFIG_DIR = "/etc/turbopilot"  # the service's own settings
# JupyterHub's default scopes. A role of the same name replaces them.
DEFAULTS: Final = {"user": ["self"], "server": ["users:activity!user", "access:servers!server"]}

ON_HOST = """\
# Turbopilot: one model for all users of this hub.{where}
# Both roles need the last scope: `user` for users' own tokens, `server` for the tokens of their Jupyter
# servers. The other scopes are JupyterHub's defaults, which these roles replace. If you have set either role
# already, add the scope there instead.
# Managing models requires an administrator's token with the scope {manages}. Do not add this scope to the
# role `server`: any code in an administrator's notebook could then replace or delete models.
c.JupyterHub.services.append(
    {{
        "name": {name!r},
        "url": "http://127.0.0.1:{port}",{managed}
    }}
)
c.JupyterHub.load_roles.extend(
    [
        {{"name": "user", "scopes": {user!r}}},
        {{"name": "server", "scopes": {server!r}}},
    ]
)
c.Spawner.environment.update(
    {{
        # If c.JupyterHub.base_url is set, insert its path before /services.
        "TURBOPILOT_ENGINE_URL": "http://127.0.0.1:{port}/services/{name}",
        "TURBOPILOT_ENGINE_AUTH": "jupyterhub",
        # No models in users' servers and pages. This overrides the settings in users' configuration files.
        "TURBOPILOT_LOCAL_ENGINES": "0",
        # The users' servers read the model's vocabulary from its file, so the folder must be readable.
        "TURBOPILOT_MODELS": {models!r},
    }}
)
# The users' servers send only the edited notebook. To complete columns of the kernel, and to use other open
# documents, write this into /etc/jupyter/jupyter_turbopilot_config.py on the machines of the users' servers:
# c.TurbopilotRemote.send_kernel_context = True
# c.TurbopilotRemote.send_documents = True
# The end of Turbopilot's lines.
"""

MANAGED = """
        "command": [{python!r}, "-m", "jupyter_turbopilot.cli", "serve", "--hub"],{user}
        "environment": {{
            "TURBOPILOT_MODELS": {models!r},
            # A folder that users' servers do not read: the service's settings must not apply to them.
            "JUPYTER_CONFIG_DIR": {config_dir!r},
        }},"""

SOCKET_UNIT = """\
# /etc/systemd/system/{name}.socket
[Unit]
Description=The port of Turbopilot, reserved while the service is stopped, too

[Socket]
ListenStream=127.0.0.1:{port}
TriggerLimitIntervalSec=0

[Install]
WantedBy=sockets.target
"""

SERVICE_UNIT = """\
# /etc/systemd/system/{name}.service
[Unit]
Description=Turbopilot, code completion for JupyterHub
Requires={name}.socket
# With a limit, systemd would close the port of a service that fails repeatedly.
StartLimitIntervalSec=0

[Service]
User={user}
Environment={models}
Environment=JUPYTER_CONFIG_DIR={config_dir}
# The address of the hub's API (The Littlest JupyterHub: port 15001), and the path of the service: if
# c.JupyterHub.base_url is set, insert its path into both.
Environment=JUPYTERHUB_API_URL=http://127.0.0.1:8081/hub/api
Environment=JUPYTERHUB_SERVICE_PREFIX=/services/{name}/
Environment=JUPYTERHUB_SERVICE_URL=http://127.0.0.1:{port}
CacheDirectory={name}
Environment=XDG_CACHE_HOME=%C/{name}
ExecStart={python} -m jupyter_turbopilot.cli serve --hub
Restart=on-failure
RestartSec=5
NoNewPrivileges=yes
ProtectSystem=full
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""

IN_CLUSTER = """\
# One model for all users of this hub: values for the chart of Zero to JupyterHub. The model runs in a
# separate deployment (see the JupyterHub page of the documentation). Both roles need the last scope: `user`
# for users' own tokens, `server` for the tokens of their Jupyter servers. The other scopes are JupyterHub's
# defaults, which these roles replace. Managing models requires an administrator's token with the scope
# {manages}. Do not add this scope to the role `server`: any code in an administrator's notebook could then
# replace models.
hub:
  services:
    {name}:
      url: http://{name}:{port}
  loadRoles:
    user:
      scopes:
{user}
    server:
      scopes:
{server}
singleuser:
  # User pods can reach the model only through the hub's proxy. If hub.baseUrl is set, insert its path before
  # /services. If the proxy uses HTTPS, use the hub's public https:// address and leave ALLOW_HTTP out.
  extraEnv:
    TURBOPILOT_ENGINE_URL: http://proxy-public/services/{name}
    TURBOPILOT_ENGINE_AUTH: jupyterhub
    TURBOPILOT_ENGINE_ALLOW_HTTP: "1"
    TURBOPILOT_LOCAL_ENGINES: "0"
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Print the configuration of a JupyterHub that shares one model."""
    parser.add_argument(
        "--kind",
        choices=[*INSTRUCTIONS, *UNITS, "helm"],
        default="hub",
        help="how the hub is installed: hub (its own jupyterhub_config.py), tljh (The Littlest JupyterHub), "
        "helm (Zero to JupyterHub); systemd: like hub, but systemd starts the service, with the units "
        "systemd-socket and systemd-service; default: %(default)s",
    )
    parser.add_argument(
        "--user",
        default="",
        metavar="ACCOUNT",
        help="the account of the service; default: the hub's own, with systemd: turbopilot",
    )
    parser.set_defaults(execute=run)


def run(options: argparse.Namespace, settings: Turbopilot) -> int:
    if options.kind == "helm":
        print(in_cluster(), end="")
        return 0
    folder = models_dir(settings.models_dir).absolute()
    python, models = sys.executable, str(folder)
    if options.kind == "systemd-socket":
        print(socket_unit(), end="")
    elif options.kind == "systemd-service":
        print(service_unit(python, models, options.user), end="")
    else:
        managed = options.kind != "systemd"
        text = on_host(python, models, INSTRUCTIONS[options.kind], user=options.user, managed=managed)
        print(text, end="")
    for advice in filter(None, (_environment_advice(), _folder_advice(folder))):
        print(advice, file=sys.stderr)
    return 0


def _environment_advice() -> str:
    """Return advice if the service's account may not be able to run this installation; else empty."""
    package = Path(__file__).parents[2]
    unreadable = _unreadable((Path(sys.prefix), package, Path(sys.executable).resolve()), ())
    if not unreadable:
        return ""
    return (
        f"Only some accounts can read {unreadable}. Install jupyter-turbopilot in an environment that the "
        "service's account and all users can read, such as one below /opt, and run this again from there."
    )


def _folder_advice(folder: Path) -> str:
    """Return advice if the models folder is empty, or not readable for the service and users; else empty."""
    if not (models := list(folder.glob("*.gguf"))):
        return f"There is no model in {folder} yet. Download one: jupyter turbopilot models pull"
    if unreadable := _unreadable((folder,), models):
        return (
            f"Only some accounts can read {unreadable}. Set TURBOPILOT_MODELS to a folder that all users can "
            "read, download the model there, and run this again; or make it readable for all users."
        )
    return ""


def _unreadable(folders_and_programs: Iterable[Path], files: Iterable[Path]) -> Path | None:
    """Return a path that other accounts cannot read, if any."""
    entered = tuple(folders_and_programs)
    parents = (parent for path in entered for parent in path.parents)
    needed = dict.fromkeys(parents, stat.S_IXOTH) | dict.fromkeys(entered, stat.S_IXOTH | stat.S_IROTH)
    needed |= dict.fromkeys(files, stat.S_IROTH)
    unreadable = [each for each, bits in needed.items() if each.stat().st_mode & bits != bits]
    return unreadable[-1] if unreadable else None


# The configuration -----------------------------------------------------------------------------------------


def scopes(role: str) -> list[str]:
    return [*DEFAULTS[role], scope_for(NAME)]


def on_host(python: str, models: str, where: str, *, user: str = "", managed: bool = True) -> str:
    """Return the configuration for a hub that starts its users' servers on its own machine.

    `python`: the interpreter with jupyter-turbopilot; `models`: the model folder; `where`: a comment about
    where to insert the configuration; `user`: the account of the service; `managed`: whether the hub starts
    the service.
    """
    entry = MANAGED.format(
        python=python,
        models=models,
        config_dir=CONFIG_DIR,
        user=f'\n        "user": {user!r},' if user else "",
    )
    return ON_HOST.format(
        where=f" {where}" if where else "",
        manages=MANAGE_SCOPE,
        name=NAME,
        port=PORT,
        managed=entry if managed else "",
        models=models,
        user=scopes("user"),
        server=scopes("server"),
    )


def socket_unit() -> str:
    """Return the systemd unit of the service's port."""
    return SOCKET_UNIT.format(name=NAME, port=PORT)


def service_unit(python: str, models: str, user: str) -> str:
    """Return the systemd unit of the service."""
    return SERVICE_UNIT.format(
        name=NAME,
        port=PORT,
        user=user or NAME,
        models=_quote(f"TURBOPILOT_MODELS={models}"),
        config_dir=CONFIG_DIR,
        python=_quote(python).replace("$", "$$"),
    )


def _quote(value: str) -> str:
    """Return a value as systemd reads it back."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def in_cluster() -> str:
    """Return the values for the Helm chart."""
    user, server = ("\n".join(f"        - {scope}" for scope in scopes(role)) for role in DEFAULTS)
    return IN_CLUSTER.format(name=NAME, port=PORT, user=user, server=server, manages=MANAGE_SCOPE)
