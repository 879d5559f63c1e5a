"""`jupyter turbopilot accepted`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from jupyter_turbopilot.terminal.numeric_options import whole
from turbopilot_example.listener import counts

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.settings.config import Turbopilot


def declare(parser: argparse.ArgumentParser) -> None:
    """Print how many suggestions were accepted on each day."""
    parser.add_argument("--days", type=whole(1, 10_000), default=7, help="number of days (%(default)s)")
    parser.set_defaults(execute=run)


def run(options: argparse.Namespace, _: Turbopilot) -> int:
    """Print the counts; return the exit status."""
    by_day: Counter[str] = Counter()
    if counts().is_file():
        for line in counts().read_text("utf-8").splitlines():
            day, number = line.split()
            by_day[day] += int(number)
    for day in sorted(by_day)[-options.days :]:
        print(day, by_day[day])
    return 0
