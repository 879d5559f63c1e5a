"""`jupyter turbopilot study report`, `info` and `clear`: the log of what became of suggestions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.commands.command import Command, Group, NoOptions
from jupyter_turbopilot.commands.removing import agreed, count_of, list_names, remove
from jupyter_turbopilot.errors import BadRequestError, NotReadyError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.study.lines import Event

_NUMBER = re.compile(r"\.[1-9]\Z")


@dataclass(frozen=True)
class Report:
    """Which logs, and where the report goes."""

    files: list[Path]
    into: Path | None


@dataclass(frozen=True)
class Clear:
    """Whether to ask first."""

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
    parser.add_argument("--into", type=Path, metavar="FILE", help="write a Markdown file and plots")


def declare_nothing(parser: argparse.ArgumentParser) -> None:
    """There are no options."""


def declare_clear(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def report(options: Report, settings: Turbopilot) -> int:
    """Print what the logs come to."""
    from jupyter_turbopilot.evaluate.study_report import figured, tables, write

    names = options.files or [_configured(settings)]
    logs: list[list[Event]] = []
    for name in dict.fromkeys(map(_begun, names)):
        events, broken = read(name)
        logs.append(events)
        if broken:
            print(f"{name}: passed over {count_of(broken, 'line')} that cannot be read.")
    found = figured(logs)
    print(tables(found, len(logs)), end="")
    if options.into:
        for path in write(options.into, found, len(logs)):
            print(f"Written: {path}")
    return 0


def info(_: NoOptions, settings: Turbopilot) -> int:
    """Say whether a log is kept, what it holds, and what is wrong with it."""
    from jupyter_turbopilot.files import size_of
    from jupyter_turbopilot.study.file import KEPT, LIMIT, LogFile, files_of, reason_of

    if not settings.study_log:
        print("No study log is kept. c.Turbopilot.study_log names a file for one.")
        return 0
    path = _configured(settings)
    files = files_of(path)
    events, broken = read(path) if files else ([], 0)
    size, most = sum(map(size_of, files)) / 2**20, (KEPT + 1) * LIMIT // 2**20
    shown = len({event.get("id") for event in events if event["event"] == "shown"})
    lines = f"{count_of(len(events), 'line')} on {count_of(shown, 'suggestion')}"
    print(f"{path}: {lines}, {size:.1f} of {most} MB.")
    print("The text of suggestions is logged." if settings.study_text else "No text is logged now.")
    if files:
        print(f"This log holds {held(events)}.")
    if broken:
        print(f"{count_of(broken, 'line')} cannot be read.")
    if obstacle := LogFile(path).obstacle():
        print(f"{obstacle}.")
    try:
        LogFile(path).check()
    except OSError as error:
        print(f"It cannot be written: {reason_of(error)}.")
        return 1
    return 0


def held(events: Iterable[Event]) -> str:
    """Say what a log holds, whatever the settings were when it was written."""
    texts = len({event.get("id") for event in events if event.get("text") and event["event"] == "shown"})
    return f"the text of {count_of(texts, 'suggestion')}" if texts else "no text"


def clear(options: Clear, settings: Turbopilot) -> int:
    """Delete the log."""
    from jupyter_turbopilot.study.file import files_of, lock_path

    if not settings.study_log:
        print("No study log is kept. c.Turbopilot.study_log names a file for one.")
        return 0
    path = _configured(settings)
    files = files_of(path)
    if not files:
        print("Nothing was logged.")
        return 0
    if not options.yes and not agreed(f"Delete {', '.join(map(str, files))}? It cannot be made again."):
        return 1
    remaining = remove([*files, lock_path(path)])
    print(f"{count_of(len(files) - len(set(files) & set(remaining)), 'file')} removed.")
    list_names("Could not be removed", remaining)
    print(
        "A server that runs begins a new one with the next suggestion, while c.Turbopilot.study_log is set."
    )
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
    return begun if part and is_ours(begun := path.with_name(path.name[: part.start()])) else path


def read(path: Path) -> tuple[list[Event], int]:
    """Return the events of a log, the oldest first, and how many lines are none."""
    from jupyter_turbopilot.study.checking import checked, other_version
    from jupyter_turbopilot.study.file import files_of, reason_of
    from jupyter_turbopilot.study.lines import events_of

    files = files_of(path)
    if not files:
        raise NotReadyError(f"{path} is no study log.", code="no_study")
    try:
        lines = [line for file in files for line in file.read_bytes().split(b"\n")]
    except OSError as error:
        raise NotReadyError(f"{path} cannot be read: {reason_of(error)}.", code="no_study") from None
    events, broken = events_of(lines)
    if other := other_version(events):
        raise NotReadyError(
            f"{path} has lines of another version ({other}). Read it with the release that wrote it.",
            code="no_study",
        )
    events, invalid = checked(events)
    return events, broken + invalid


COMMAND = Group(
    "study",
    "the log of what became of suggestions: what it comes to, what it holds, or delete it",
    (
        Command("report", "print tables of what became of suggestions", Report, declare_report, report),
        Command("info", "say whether a log is kept, and what it holds", NoOptions, declare_nothing, info),
        Command("clear", "delete the log that the settings name", Clear, declare_clear, clear),
    ),
)
