"""`jupyter turbopilot usage-log report`, `info` and `clear`: the usage log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.plugins.usage.events import Shown
from jupyter_turbopilot.plugins.usage.file import LIMIT, Reading, check, delete, is_log, locate, require_log
from jupyter_turbopilot.plugins.usage.usage_report import tables, write
from jupyter_turbopilot.plugins.usage.usage_statistics import LogStatistics
from jupyter_turbopilot.protocol.errors import BadRequestError, NotReadyError
from jupyter_turbopilot.terminal.commands.removing import confirmed, size_of_all
from jupyter_turbopilot.util.files import count_of, describe_size

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.settings.config import Turbopilot

_NONE = (
    "No usage log is kept: c.Turbopilot.usage_log is not set in Jupyter's configuration. If a terminal, a "
    "server's command line or an earlier configuration set one, pass its FILE."
)


def declare_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="*",
        type=Path,
        help="a participant's log; default: c.Turbopilot.usage_log",
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="FILE",
        help="write a Markdown file and plots; an existing report is replaced",
    )
    parser.set_defaults(execute=report)


def declare_info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", nargs="?", type=Path, help="a log; default: c.Turbopilot.usage_log"
    )
    parser.set_defaults(execute=info)


def declare_clear(parser: argparse.ArgumentParser) -> None:
    declare_info(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    parser.set_defaults(execute=clear)


def report(options: argparse.Namespace, settings: Turbopilot) -> int:
    names = options.files or [_configured(settings)]
    if options.into:
        _check_target(options.into)
    logs = [Reading(name) for name in dict.fromkeys(names)]
    found = LogStatistics(logs)
    for log in logs:
        if log.broken:
            print(f"{log.path}: skipped {count_of(log.broken, 'unreadable line')}.")
    print(tables(found, len(logs)), end="")
    if options.into:
        for path in write(options.into, found, len(logs)):
            print(f"Written: {path}")
    return 0


def info(options: argparse.Namespace, settings: Turbopilot) -> int:
    """Print the state, content and problems of a log."""
    if options.file:
        _describe(options.file)
        return 0
    if not settings.usage_log:
        print(_NONE)
        return 0
    path = _configured(settings)
    if is_log(path):
        _describe(path)
    else:
        print(f"{path}: nothing is logged yet.")
    print("The text of suggestions is logged." if settings.usage_log_text else "No text is logged.")
    try:
        check(path)
    except OSError as error:
        print(f"The file cannot be written: {error.strerror}.")
        return 1
    return 0


def _describe(path: Path) -> None:
    log = Reading(path)
    shown = set()
    lines = 0
    for event in log:
        lines += 1
        if isinstance(event, Shown):
            shown.add(event.id)
    counts = f"{count_of(lines, 'line')} about {count_of(len(shown), 'suggestion')}"
    print(f"{path}: {counts}, {size_of_all([path])} of at most {describe_size(LIMIT)}.")
    print(f"This log contains {'the text of suggestions' if log.has_text else 'no text'}.")
    if log.broken:
        print(f"{count_of(log.broken, 'unreadable line')}.")


def clear(options: argparse.Namespace, settings: Turbopilot) -> int:
    if not options.file and not settings.usage_log:
        print(_NONE)
        return 0
    path = options.file or _configured(settings)
    if options.file:
        require_log(path)
    elif not is_log(path):
        print("Nothing was logged.")
        return 0
    if not options.yes and not confirmed(f"Delete {path}? It cannot be recreated."):
        return 1
    try:
        delete(path)
    except OSError as error:
        raise NotReadyError(
            f"{path} could not be deleted: {error.strerror}. Try again, or stop the program that logs "
            "to it first.",
            code="usage_log_not_deleted",
        ) from None
    print(f"{path} was deleted.")
    print("A server or terminal that still logs to it creates a new file with the next suggestion.")
    return 0


def _configured(settings: Turbopilot) -> Path:
    """Return the log of the settings."""
    if not settings.usage_log:
        raise BadRequestError("Pass the file of a usage log, or set c.Turbopilot.usage_log.")
    try:
        return locate(settings.usage_log)
    except OSError as error:
        raise BadRequestError(f"c.Turbopilot.usage_log cannot be used: {error.strerror}.") from None


def _check_target(target: Path) -> None:
    """Raise an error if a report would replace a log, or its plots the report."""
    if target.is_dir():
        raise BadRequestError(f"{target} is a folder. Pass a Markdown file, for example report.md.")
    if target.suffix.lower() == ".svg":
        raise BadRequestError(
            "The report's plots use the suffix .svg. Pass a Markdown file, for example report.md."
        )
    for path in (target, target.with_suffix(".svg")):
        if is_log(path.resolve()):
            raise BadRequestError(
                f"{path} is a usage log, which the report would replace. Choose another file."
            )
