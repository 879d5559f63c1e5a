"""The results file on the disk: `sqlite_file`, with the table of answers."""

from __future__ import annotations

from functools import partial

from jupyter_turbopilot.sqlite_file import disk
from jupyter_turbopilot.sqlite_file.layout import Layout

LAYOUT = Layout(
    application=0x54504C54,
    version=1,
    statements=(
        """CREATE TABLE answers (
    number INTEGER PRIMARY KEY, place BLOB NOT NULL UNIQUE,
    keys BLOB NOT NULL, answer BLOB NOT NULL, digest BLOB NOT NULL)""",
    ),
    trial=("INSERT INTO answers VALUES (1, x'', x'', x'', x'')", "DELETE FROM answers"),
    # Rows are numbered up from 1, and SQLite has no numbers after 1 << 63.
    sound="SELECT coalesce(max(number), 0) < 1 << 61 FROM answers",
)

Found = disk.Found
look = partial(disk.look, layout=LAYOUT)
is_ours = partial(disk.is_ours, layout=LAYOUT)
belonging = partial(disk.belonging, layout=LAYOUT)
prepare = partial(disk.prepare, layout=LAYOUT)


def unusable(name: str, reason: str) -> str:
    """Word that the file which the setting names cannot be used, and why."""
    return f"The file in c.Turbopilot.results_file, {name!r}, cannot be used: {reason}."
