"""Configuration that an administrator adds to a JupyterHub, by kind of installation. Pure."""

from __future__ import annotations

from typing import Final

from jupyter_turbopilot.plugins.hub.client import MANAGE_SCOPE, scope_for

NAME = "turbopilot"
PORT = 10101
CONFIG_DIR = "/etc/turbopilot"  # the service's own settings
# JupyterHub's default scopes. A role of the same name replaces them.
DEFAULTS: Final = {"user": ["self"], "server": ["users:activity!user", "access:servers!server"]}


ON_HOST = """\
# One model for all users of this hub.{where}
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
# The address of the hub's API, and the path of the service: if c.JupyterHub.base_url is set, insert its path.
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
  # /services. If the proxy uses HTTPS, use the hub's public https:// address and leave PLAIN_HTTP out.
  extraEnv:
    TURBOPILOT_ENGINE_URL: http://proxy-public/services/{name}
    TURBOPILOT_ENGINE_AUTH: jupyterhub
    TURBOPILOT_ENGINE_ALLOW_HTTP: "1"
    TURBOPILOT_LOCAL_ENGINES: "0"
"""


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
