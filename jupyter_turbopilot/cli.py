"""`jupyter turbopilot`: parse the command line, read the settings, and turn errors into exit statuses."""

from __future__ import annotations

import argparse
import codecs
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from jupyter_turbopilot.protocol.errors import ConfigurationError, TurbopilotError
from jupyter_turbopilot.terminal.commands.command import Parser, add_commands, exit_without
from jupyter_turbopilot.util import registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.settings.config import Turbopilot


def main(arguments: list[str] | None = None) -> None:
    """Run a subcommand. Expected errors are one line and exit status 1, or 2 for an invalid request."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        use_utf8(stream)
    arguments = sys.argv[1:] if arguments is None else arguments
    parsed = parser(arguments).parse_args(arguments)
    try:
        settings = read_settings(
            getattr(parsed, "model", None),
            mirrors=getattr(parsed, "mirrors", False),
            engine=getattr(parsed, "engine", None),
        )
        status = parsed.execute(parsed, settings)
    except TurbopilotError as error:
        print(f"turbopilot: {error.message} {error.hint}".strip(), file=sys.stderr)
        status = error.exit_status
    except KeyboardInterrupt:
        print("turbopilot: stopped", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        status = 0
    raise SystemExit(status)


def use_utf8(stream: TextIO | None) -> None:
    """Use UTF-8 for files and pipes: on Windows the default is a code page.

    Terminals and streams configured by PYTHONIOENCODING keep their encoding.
    """
    if not isinstance(stream, TextIOWrapper) or stream.isatty() or "PYTHONIOENCODING" in os.environ:
        return
    if codecs.lookup(stream.encoding).name != "utf-8":
        stream.reconfigure(encoding="utf-8", errors="backslashreplace" if stream.writable() else "strict")


class _Version(argparse.Action):
    """Print the version. importlib.metadata is slow, so it is imported only here."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from jupyter_turbopilot import __version__

        print(__version__)
        parser.exit()


def parser(arguments: Sequence[str] = ()) -> Parser:
    """Return the parser of the command line.

    Reading the metadata of other distributions is slow. It is omitted if the arguments name an own command.
    """
    top = Parser(prog="jupyter turbopilot", description="Code completion from a model on this machine.")
    top.add_argument("--version", action=_Version, nargs=0, help="print the version")
    entries = registry.own("commands")
    if not any(entry.name in arguments[:1] for entry in entries):
        entries = registry.found("commands")
    if missing := {*arguments[:1]} & registry.OTHER_COMMANDS.keys() - {entry.name for entry in entries}:
        exit_without(top, *missing)
    add_commands(top, (entry for entry in entries if "." not in entry.name), metavar="COMMAND")
    return top


def read_settings(
    model: str | None = None, *, mirrors: bool = False, engine: str | None = None
) -> Turbopilot:
    """Read Jupyter's configuration files; options of the command line override them."""
    from jupyter_core.paths import jupyter_config_path
    from traitlets import TraitError
    from traitlets.config import Config
    from traitlets.config.loader import JSONFileConfigLoader, PyFileConfigLoader

    from jupyter_turbopilot.settings.config import Turbopilot

    config = Config()
    folders = [Path(folder) for folder in reversed(jupyter_config_path())]
    # In the order in which Jupyter reads them for a server extension: later files override earlier ones.
    for path, loader in (
        (folder / f"jupyter_{name}_config{ending}", loader)
        for name in ("turbopilot", "server")
        for folder in folders
        for ending, loader in ((".py", PyFileConfigLoader), (".json", JSONFileConfigLoader))
    ):
        if path.is_file():
            try:
                loaded = loader(path.name, str(path.parent)).load_config()
                # Plugins' sections, too: their names begin like ours.
                ours = {name: value for name, value in loaded.items() if name.startswith("Turbopilot")}
                config.merge(Config(ours))
            except Exception as error:  # a configuration file can raise any exception
                raise ConfigurationError(str(path), error) from error
    try:
        settings = Turbopilot(config=config)
        if engine:
            settings.engine = engine
        settings.validate_sections()
    except (AttributeError, TraitError, TypeError, ValueError) as error:
        raise ConfigurationError("Jupyter's configuration", error) from error
    if model:
        settings.model = model
    if mirrors:
        settings.mirrors = True
    return settings


if __name__ == "__main__":
    main()
