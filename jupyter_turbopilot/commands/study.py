"""`jupyter turbopilot study report`, `info` and `clear`: the log of what became of suggestions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.commands.command import Command, Group
from jupyter_turbopilot.commands.removing import agreed, list_names, size_of_all
from jupyter_turbopilot.errors import BadRequestError, NotReadyError
from jupyter_turbopilot.wording import count_of

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.config import Turbopilot

_NONE = (
    "No study log is kept: c.Turbopilot.study_log is not set in Jupyter's configuration. If a terminal, a "
    "server's command line or an earlier configuration named one, name that FILE."
)
_NUMBER = re.compile(r"\.[1-9]\Z")


@dataclass(frozen=True)
class Report:
    """Which logs, and where the report goes."""

    files: list[Path]
    into: Path | None


@dataclass(frozen=True)
class Info:
    """Which log."""

    file: Path | None


@dataclass(frozen=True)
class Clear:
    """Which log, and whether to delete it without asking."""

    file: Path | None
    yes: bool


def declare_report(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="*",
        type=Path,
        help="a participant's log; older parts of it beside it (FILE.1 …) are read with it. "
        "Default: c.Turbopilot.study_log",
    )
    parser.add_argument(
        "--into",
        type=Path,
        metavar="FILE",
        help="write a Markdown file and plots; one that is there is replaced",
    )


def declare_file(parser: argparse.ArgumentParser) -> None:
    """Declare which log it is about."""
    parser.add_argument(
        "file", metavar="FILE", nargs="?", type=Path, help="a log; default: c.Turbopilot.study_log"
    )


def declare_clear(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    declare_file(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def report(options: Report, settings: Turbopilot) -> int:
    """Print what the logs come to."""
    from jupyter_turbopilot.evaluate.study_report import figured, tables, write
    from jupyter_turbopilot.study.reading import Reading

    names = options.files or [_configured(settings)]
    if options.into:
        _check_target(options.into)
    logs = [Reading(name) for name in dict.fromkeys(map(_begun, names))]
    found = figured(logs)
    for log in logs:
        if log.broken:
            print(f"{log.path}: passed over {count_of(log.broken, 'line')} that cannot be read.")
    print(tables(found, len(logs)), end="")
    if options.into:
        for path in write(options.into, found, len(logs)):
            print(f"Written: {path}")
    return 0


def info(options: Info, settings: Turbopilot) -> int:
    """Say whether a log is kept, what it holds, and what is wrong with it."""
    from jupyter_turbopilot.study.file import LogFile, files_of, reason_of

    if options.file:
        _describe(options.file)
        return 0
    if not settings.study_log:
        print(_NONE)
        return 0
    path = _configured(settings)
    if files_of(path):
        _describe(path)
    else:
        print(f"{path}: nothing was logged yet.")
    print("The text of suggestions is logged." if settings.study_text else "No text is logged now.")
    if obstacle := LogFile(path).obstacle():
        print(f"{obstacle}.")
    try:
        LogFile(path).check()
    except OSError as error:
        print(f"It cannot be written: {reason_of(error)}.")
        return 1
    return 0


def _describe(path: Path) -> None:
    """Say what a log holds."""
    from jupyter_turbopilot.files import describe_size
    from jupyter_turbopilot.study.file import KEPT, LIMIT, files_of
    from jupyter_turbopilot.study.reading import Reading, held

    log, shown, lines = Reading(path), set(), 0
    for event in log:
        lines += 1
        if event["event"] == "shown":
            shown.add(event["id"])
    files = files_of(path)
    said = f"{count_of(lines, 'line')} on {count_of(len(shown), 'suggestion')}"
    print(f"{path}: {said}, {size_of_all(files)} of at most {describe_size((KEPT + 1) * LIMIT)}.")
    print(f"This log holds {held(files)}.")
    if log.broken:
        print(f"{count_of(log.broken, 'line')} cannot be read.")


def clear(options: Clear, settings: Turbopilot) -> int:
    """Delete the log."""
    from jupyter_turbopilot.study.deleting import delete
    from jupyter_turbopilot.study.file import files_of, reason_of
    from jupyter_turbopilot.study.reading import no_log

    if not options.file and not settings.study_log:
        print(_NONE)
        return 0
    path = options.file or _configured(settings)
    files = files_of(path)
    if not files and options.file:
        raise no_log(path)
    if not files:
        print("Nothing was logged.")
        return 0
    if not options.yes and not agreed(f"Delete {', '.join(map(str, files))}? It cannot be made again."):
        return 1
    try:
        removed, remaining = delete(path)
    except OSError as error:
        raise NotReadyError(
            f"{path} was not deleted: {reason_of(error)}. Try again, or stop the server or terminal that "
            "logs to it first.",
            code="study_not_deleted",
        ) from None
    print(f"{count_of(removed, 'file')} removed.")
    list_names("Could not be removed", remaining)
    print("A server or terminal that still logs to it begins a new one with the next suggestion.")
    return 1 if remaining else 0


def _configured(settings: Turbopilot) -> Path:
    """Return the log that the settings name."""
    from jupyter_turbopilot.study.file import located, reason_of

    if not settings.study_log:
        raise BadRequestError("Name the file of a study log, or set c.Turbopilot.study_log.")
    try:
        return located(settings.study_log)
    except OSError as error:
        raise BadRequestError(f"c.Turbopilot.study_log cannot be used: {reason_of(error)}.") from None


def _begun(path: Path) -> Path:
    """Return which log a file is an older part of, or the file itself."""
    from jupyter_turbopilot.study.file import is_ours

    part = _NUMBER.search(path.name, 1)
    return begun if part and is_ours(begun := path.parent / path.name[: part.start()]) else path


def _check_target(target: Path) -> None:
    """Raise an error where a report would take the place of a log, or its plot that of the report."""
    from jupyter_turbopilot.study.file import is_ours

    if not target.name or target.is_dir():
        raise BadRequestError(f"{target} is a folder. Name the Markdown file, as report.md.")
    if target.suffix.lower() == ".svg":
        raise BadRequestError(f"{target} is where the plots go. Name the Markdown file, as report.md.")
    for path in (target, target.with_suffix(".svg")):
        if is_ours(path.resolve()):
            raise BadRequestError(
                f"{path} is a study log, which a report would overwrite. Name another file."
            )


COMMAND = Group(
    "study",
    "the log of what became of suggestions: what it comes to, what it holds, or delete it",
    (
        Command("report", "print tables of what became of suggestions", Report, declare_report, report),
        Command("info", "say whether a log is kept, and what one holds", Info, declare_file, info),
        Command("clear", "delete a log", Clear, declare_clear, clear),
    ),
)
