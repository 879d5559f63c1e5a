"""`jupyter turbopilot hub-config`: print the configuration of a JupyterHub."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from jupyter_turbopilot.settings.config import Turbopilot

TEMPLATES = Path(__file__).parent / "templates"
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
SOCKET, SERVICE = "systemd-socket", "systemd-service"


def declare(parser: argparse.ArgumentParser) -> None:
    """Print the configuration of a JupyterHub that shares one model."""
    parser.add_argument(
        "--kind",
        choices=[*INSTRUCTIONS, SOCKET, SERVICE, "helm"],
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
    from jupyter_turbopilot.models.folder import models_dir

    if options.kind == "helm":
        print(template("helm.yaml"), end="")
        return 0
    folder = models_dir(settings.models_dir).absolute()
    python, models = sys.executable, str(folder)
    if options.kind == SOCKET:
        text = template("turbopilot.socket")
    elif options.kind == SERVICE:
        text = service_unit(python, models, options.user)
    else:
        managed = options.kind != "systemd"
        text = on_host(python, models, INSTRUCTIONS[options.kind], user=options.user, managed=managed)
    print(text, end="")
    for advice in filter(None, (_environment_advice(), _folder_advice(folder))):
        print(advice, file=sys.stderr)
    return 0


def template(name: str, **values: str) -> str:
    return Template((TEMPLATES / name).read_text("utf-8")).substitute(values)


def on_host(python: str, models: str, where: str, *, user: str = "", managed: bool = True) -> str:
    """Return the configuration for a hub that starts its users' servers on its own machine.

    `python`: the interpreter with turbopilot-service; `models`: the model folder; `where`: a comment about
    where to insert the configuration; `user`: the account of the service; `managed`: whether the hub starts
    the service.
    """
    values = {"models": repr(models), "python": repr(python), "user": repr(user), "where": where}
    service = template("managed_service.in", **values) if managed else ""
    return template("jupyterhub_config.in", service=service, **values)


def service_unit(python: str, models: str, user: str) -> str:
    """Return the systemd unit of the service."""
    return template(
        "turbopilot.service",
        user=user or "turbopilot",
        models=_quote(f"TURBOPILOT_MODELS={models}"),
        python=_quote(python).replace("$", "$$"),
    )


def _quote(value: str) -> str:
    """Return a value as systemd reads it back."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _environment_advice() -> str:
    """Return advice if the service's account may not be able to run this installation; else empty."""
    package = Path(__file__).parents[1]
    unreadable = _unreadable((Path(sys.prefix), package, Path(sys.executable).resolve()), ())
    if not unreadable:
        return ""
    return (
        f"Only some accounts can read {unreadable}. Install jupyter-turbopilot and turbopilot-service in an "
        "environment that the service's account and all users can read, such as one below /opt, and run this "
        "again from there."
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
