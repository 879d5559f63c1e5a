"""Subcommands: a name, options, and a function that runs with the options and the settings."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from jupyter_turbopilot.util.registry import find, found, own

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.settings.config import Turbopilot

Options = TypeVar("Options")


class Entry(Protocol):
    """An entry in a list of subcommands."""

    def add(self, subparsers: Any) -> None:
        """Declare the entry."""


@dataclass(frozen=True)
class Command(Generic[Options]):
    """A subcommand; each field of `options`, a frozen dataclass, is a destination of its parser."""

    name: str
    help: str
    options: type[Options]
    run: Callable[[Options, Turbopilot], int]  # returns the exit status
    declare: Callable[[argparse.ArgumentParser], None] = lambda _: None

    def add(self, subparsers: Any) -> None:
        """Declare the subcommand and its options."""
        parser = subparsers.add_parser(self.name, help=self.help)
        self.declare(parser)
        parser.set_defaults(execute=self.execute)

    def execute(self, parsed: argparse.Namespace, settings: Turbopilot) -> int:
        """Run the subcommand with the parsed options; return the exit status."""
        names = [field.name for field in fields(self.options)]  # type: ignore[arg-type]
        return self.run(self.options(**{name: getattr(parsed, name) for name in names}), settings)


@dataclass(frozen=True)
class Group:
    """A subcommand with subcommands."""

    name: str
    help: str
    entries: tuple[Entry, ...]
    metavar: str = "ACTION"

    def add(self, subparsers: Any) -> None:
        """Declare the group and its entries."""
        parser = subparsers.add_parser(self.name, help=self.help)
        inner = parser.add_subparsers(required=True, metavar=self.metavar)
        for entry in self.entries:
            entry.add(inner)


@dataclass(frozen=True)
class NoOptions:
    """The options of a subcommand without any."""


def add_model(parser: argparse.ArgumentParser, what: str = "the model to use") -> None:
    """Declare `--model`, which overrides the configured one."""
    parser.add_argument("-m", "--model", help=f"{what}; default: the configured one")


def add_model_and_engine(parser: argparse.ArgumentParser) -> None:
    """Declare `--model` and `--engine`."""
    add_model(parser)
    add_engine(parser)


def _engine_name(name: str) -> str:
    """Return the name of an engine; raise an error if none is registered under it."""
    if find("engines", name) is None:
        known = ", ".join(entry.name for entry in found("engines"))
        raise argparse.ArgumentTypeError(f"invalid choice: {name!r} (choose from {known})")
    return name


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Declare `--engine`, which overrides the configured one."""
    parser.add_argument(
        "--engine",
        type=_engine_name,
        metavar=f"{{{','.join(entry.name for entry in own('engines'))}}}",
        help="the engine to use; default: the configured one; see the Engines page of the documentation",
    )
