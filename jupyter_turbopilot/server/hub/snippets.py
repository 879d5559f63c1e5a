"""Configuration that an administrator adds to a JupyterHub, by kind of installation. Pure."""

from __future__ import annotations

from typing import Final

from jupyter_turbopilot.server.hub.client import MANAGE_SCOPE, scope_for

NAME = "turbopilot"
PORT = 10101
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
        "url": "http://127.0.0.1:{port}",
        "command": [{python!r}, "-m", "jupyter_turbopilot.cli", "serve", "--hub"],
        "environment": {{"TURBOPILOT_MODELS": {models!r}}},
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
        # The users' servers read the model's vocabulary from its file, so the folder must be readable.
        "TURBOPILOT_MODELS": {models!r},
    }}
)
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
"""


def scopes(role: str) -> list[str]:
    """Return the scopes of a role."""
    return [*DEFAULTS[role], scope_for(NAME)]


def on_host(python: str, models: str, where: str) -> str:
    """Return the configuration for a hub that starts its users' servers on its own machine.

    `python`: the interpreter with jupyter-turbopilot; `models`: the model folder; `where`: a comment about
    where to insert the configuration.
    """
    return ON_HOST.format(
        where=f" {where}" if where else "",
        manages=MANAGE_SCOPE,
        name=NAME,
        port=PORT,
        python=python,
        models=models,
        user=scopes("user"),
        server=scopes("server"),
    )


def in_cluster() -> str:
    """Return the values for the Helm chart."""
    user, server = ("\n".join(f"        - {scope}" for scope in scopes(role)) for role in DEFAULTS)
    return IN_CLUSTER.format(name=NAME, port=PORT, user=user, server=server, manages=MANAGE_SCOPE)
