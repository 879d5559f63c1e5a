"""The parser of a subcommand, and options that several of them have.

An entry of the group `commands` is a function that declares a subcommand: it adds options to its parser, and
calls `parser.set_defaults(execute=run)`. `run(options, settings)` returns the exit status.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, NoReturn

from jupyter_turbopilot.util.registry import find, found, install_advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jupyter_turbopilot.settings.config import Turbopilot
    from jupyter_turbopilot.util.registry import Entry


class Parser(argparse.ArgumentParser):
    """A parser that reports unknown arguments with its own usage; its entry is imported when it is used."""

    def __init__(self, *, entry: Entry | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._entry = entry

    def declare(self) -> None:
        """Import the entry, which declares the options; once."""
        entry, self._entry = self._entry, None
        if entry is None:
            return
        declare = entry.load()
        if declare is None:
            self.exit(1, f"{self.prog} is not available. See: jupyter turbopilot doctor\n")
        declare(self)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        self.declare()
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed, unknown


def add_commands(parser: Parser, entries: Iterable[Entry], metavar: str) -> None:
    """Add a subcommand for each entry. One without a summary is imported for its docstring."""
    subparsers = parser.add_subparsers(required=True, metavar=metavar, parser_class=Parser)
    for entry in entries:
        if (summary := summary_of(entry)) is not None:
            subparsers.add_parser(entry.name.rpartition(".")[2], help=summary, entry=entry)


class MissingOption(argparse.Action):
    """An option of another distribution, which is not installed."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        exit_without(parser, self.option_strings[0])


def exit_without(parser: argparse.ArgumentParser, name: str) -> NoReturn:
    """Exit with the command that installs the distribution of a command or an option."""
    parser.exit(1, f"turbopilot: {install_advice(name)}\n")


def summary_of(entry: Entry) -> str | None:
    """Return the help of a command or an option of `serve`, or None if its function cannot be imported."""
    return entry.summary or entry.load(_summary)


def _summary(declare: Any) -> str:
    """Return the first line of a docstring, for argparse, which formats it."""
    text = (declare.__doc__ or "").partition("\n")[0].removesuffix(".")
    return (text[:1].lower() + text[1:]).replace("%", "%%")


def declare_group(parser: Parser) -> None:
    prefix = f"{parser.prog.rpartition(' ')[2]}."
    add_commands(
        parser,
        (entry for entry in found("commands") if entry.name.startswith(prefix)),
        metavar="ACTION",
    )


def without_options(run: Callable[[argparse.Namespace, Turbopilot], int]) -> Callable[[Parser], None]:
    return lambda parser: parser.set_defaults(execute=run)


def add_model(parser: argparse.ArgumentParser, what: str = "the model to use") -> None:
    """Declare `--model`, which overrides the configured one."""
    parser.add_argument("-m", "--model", help=f"{what}; default: the configured one")


def add_model_and_engine(parser: argparse.ArgumentParser) -> None:
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
        metavar=f"{{{','.join(entry.name for entry in found('engines'))}}}",
        help="the engine to use; default: the configured one; see the Engines page of the documentation",
    )


def add_json(parser: argparse.ArgumentParser, what: str = "the results") -> None:
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON")
