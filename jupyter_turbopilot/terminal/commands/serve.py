"""`jupyter turbopilot serve` (serve other editors without a Jupyter server) and `hub-config`."""

from __future__ import annotations

import logging
import os
import secrets
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.terminal.commands.command import Command, add_model_and_engine
from jupyter_turbopilot.terminal.numbers import whole

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from jupyter_turbopilot.jupyter.identity import StandaloneIdentity
    from jupyter_turbopilot.jupyter.standalone import ListenAddress
    from jupyter_turbopilot.settings.config import Turbopilot

API_KEY = "TURBOPILOT_API_KEY"
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


@dataclass(frozen=True)
class Options:
    """The address to listen on, and the authentication of clients."""

    host: str
    port: int
    api_key: str | None
    api_key_file: Path | None
    no_api_key: bool
    hub: bool


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=whole(1, 65535), default=18080, help="port to listen on (%(default)s)")
    keys = parser.add_mutually_exclusive_group()
    keys.add_argument(
        "--api-key",
        help="the key that clients send, visible in the process list; default: a new one, which is printed",
    )
    keys.add_argument(
        "--api-key-file",
        type=Path,
        metavar="FILE",
        help=f"a file with the key; alternative: the environment variable {API_KEY}",
    )
    keys.add_argument("--no-api-key", action="store_true", help="no key; only with a loopback address")
    keys.add_argument(
        "--hub",
        action="store_true",
        help="run as a service of a JupyterHub: clients send their hub tokens; the environment sets the "
        "address instead of --host and --port; see the JupyterHub page of the documentation",
    )
    add_model_and_engine(parser)


def run(options: Options, settings: Turbopilot) -> int:
    """Serve editors until the process is stopped."""
    import asyncio

    from jupyter_turbopilot.engine import lifecycle
    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
    from jupyter_turbopilot.jupyter.standalone import for_several, refuse_usage_log, serve

    identity, place, notice = _for_hub() if options.hub else _for_key(options)
    if identity.distinguishes_users:
        for_several(settings)
    elif not identity.may_manage(None):
        refuse_usage_log(settings, "without a key, users cannot be identified")
        settings.learning = False  # without a key, users cannot be told apart, and cannot reset it
    logging.basicConfig(format="%(message)s")
    logging.getLogger(lifecycle.__name__).setLevel(logging.INFO)  # log loading of the model
    pilot = Pilot(settings)
    pilot.completer.listeners.load(settings, "server")
    return asyncio.run(serve(pilot, identity, place, notice))


def _for_hub() -> tuple[StandaloneIdentity, ListenAddress, str]:
    from jupyter_turbopilot.jupyter.standalone import ListenAddress, passed_sockets
    from jupyter_turbopilot.plugins.hub.client import Hub
    from jupyter_turbopilot.plugins.hub.environment import read_environment
    from jupyter_turbopilot.plugins.hub.identity import HubIdentity

    service = read_environment(os.environ)
    sockets = passed_sockets(os.environ, service.host, service.port)
    place = ListenAddress(service.host, service.port, service.prefix, sockets)
    return HubIdentity(Hub(service.api_url), service.name), place, ""


def _for_key(options: Options) -> tuple[StandaloneIdentity, ListenAddress, str]:
    from jupyter_turbopilot.jupyter.identity import KeyIdentity, is_loopback
    from jupyter_turbopilot.jupyter.standalone import ListenAddress

    key = key_of(options)
    if key == "" and not is_loopback(options.host):
        raise BadRequestError(
            "Without a key, only this machine can be served. Use --host 127.0.0.1, or set a key."
        )
    notice = ""
    if key is None:
        key = secrets.token_urlsafe(24)
        notice = f"Key: {key}   (send it as: Authorization: Bearer …)"
    return KeyIdentity(key, options.host), ListenAddress(options.host, options.port), notice


def key_of(options: Options) -> str | None:
    """Return the clients' key; empty for none, None to create one."""
    from jupyter_turbopilot.jupyter.standalone import checked, key_from

    if options.no_api_key:
        return ""
    if options.api_key_file:
        return key_from(options.api_key_file)
    key = os.environ.get(API_KEY) or None if options.api_key is None else options.api_key
    return None if key is None else checked(key)


@dataclass(frozen=True)
class HubOptions:
    """The kind of hub, and the account of the service."""

    kind: str
    user: str


def declare_hub(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
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


def run_hub(options: HubOptions, settings: Turbopilot) -> int:
    """Print the configuration."""
    from jupyter_turbopilot.models.folder import models_dir
    from jupyter_turbopilot.plugins.hub import snippets

    if options.kind == "helm":
        print(snippets.in_cluster(), end="")
        return 0
    folder = models_dir(settings.models_dir).absolute()
    python, models = sys.executable, str(folder)
    if options.kind == "systemd-socket":
        print(snippets.socket_unit(), end="")
    elif options.kind == "systemd-service":
        print(snippets.service_unit(python, models, options.user), end="")
    else:
        managed = options.kind != "systemd"
        text = snippets.on_host(
            python, models, INSTRUCTIONS[options.kind], user=options.user, managed=managed
        )
        print(text, end="")
    account = options.user or (snippets.NAME if options.kind == "systemd-service" else "")
    for advice in filter(None, (_account_advice(account), _environment_advice(), _folder_advice(folder))):
        print(advice, file=sys.stderr)
    return 0


def _account_advice(user: str) -> str:
    """Return advice if this host has no such account, or ""."""
    if sys.platform == "win32" or not user:
        return ""
    import pwd

    with suppress(KeyError):
        pwd.getpwnam(user)
        return ""
    return f"This host has no account {user}, so the service cannot start. Create the account."


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


SERVE = Command("serve", "serve editors without a Jupyter server", Options, run, declare)
HUB_CONFIG = Command(
    "hub-config",
    "print the configuration of a JupyterHub that shares one model",
    HubOptions,
    run_hub,
    declare_hub,
)
