"""What an administrator adds to a JupyterHub's configuration, for each way hubs are installed. Pure."""

from __future__ import annotations

from typing import Final

from jupyter_turbopilot.server.hub.client import MANAGES, scope_for

NAME = "turbopilot"
PORT = 10101
# JupyterHub's own, which a role of the same name would replace.
DEFAULTS: Final = {"user": ["self"], "server": ["users:activity!user", "access:servers!server"]}


ON_HOST = """\
# One model for everybody on this hub.{where}
# Both roles need the last scope: `user` for people's own tokens, `server` for those of their Jupyter servers.
# The other scopes are JupyterHub's own, which a role that is set here would lose. If you have set either role
# already, add the scope there instead.
# Managing models needs an administrator's token with the scope {manages}. Do not give the role `server` that
# scope: any code in an administrator's notebook could then replace or delete models.
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
        # With c.JupyterHub.base_url, its path goes before /services.
        "TURBOPILOT_ENGINE_URL": "http://127.0.0.1:{port}/services/{name}",
        "TURBOPILOT_ENGINE_AUTH": "jupyterhub",
        # People's servers read the vocabulary of the model from its file, so the folder has to be readable.
        "TURBOPILOT_MODELS": {models!r},
    }}
)
"""

IN_CLUSTER = """\
# One model for everybody on this hub: values for the chart of Zero to JupyterHub. The model runs in a
# deployment of its own, which docs/jupyterhub.md has. Both roles need the last scope: `user` for people's
# own tokens, `server` for those of their Jupyter servers. The other scopes are JupyterHub's own, which a role
# that is set here would lose. Managing models needs an administrator's token with the scope {manages}. Do not
# give the role `server` that scope: any code in an administrator's notebook could then replace models.
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
  # People's pods may not reach private addresses except the hub's proxy, so the model is asked through it.
  # With hub.baseUrl, its path goes before /services. With HTTPS at the proxy, use the hub's public https://
  # address and leave PLAIN_HTTP out.
  extraEnv:
    TURBOPILOT_ENGINE_URL: http://proxy-public/services/{name}
    TURBOPILOT_ENGINE_AUTH: jupyterhub
    TURBOPILOT_ENGINE_PLAIN_HTTP: "1"
"""


def scopes(role: str) -> list[str]:
    """Return what a role is to have."""
    return [*DEFAULTS[role], scope_for(NAME)]


def on_host(python: str, models: str, where: str) -> str:
    """Return the Python for a hub whose users are on its own machine.

    `python`: the interpreter that has jupyter-turbopilot; `models`: the folder of models; `where` it goes.
    """
    return ON_HOST.format(
        where=f" {where}" if where else "",
        manages=MANAGES,
        name=NAME,
        port=PORT,
        python=python,
        models=models,
        user=scopes("user"),
        server=scopes("server"),
    )


def in_cluster() -> str:
    """Return the chart's values."""
    user, server = ("\n".join(f"        - {scope}" for scope in scopes(role)) for role in DEFAULTS)
    return IN_CLUSTER.format(name=NAME, port=PORT, user=user, server=server, manages=MANAGES)
