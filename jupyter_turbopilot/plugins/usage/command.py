"""`jupyter turbopilot usage-log report`: statistics of suggestion outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.plugins.usage.file import read
from jupyter_turbopilot.plugins.usage.usage_report import LogStatistics, tables
from jupyter_turbopilot.protocol.errors import BadRequestError

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.settings.config import Turbopilot


def declare_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="*",
        type=Path,
        help="a participant's log; default: c.Turbopilot.usage_log",
    )
    parser.set_defaults(execute=report)


def report(options: argparse.Namespace, settings: Turbopilot) -> int:
    if not (options.files or settings.usage_log):
        raise BadRequestError("Pass the file of a usage log, or set c.Turbopilot.usage_log.")
    files = dict.fromkeys(options.files or [Path(settings.usage_log).expanduser()])
    print(tables(LogStatistics(map(read, files))), end="")
    return 0
