"""The results file on the disk: where it is, and its table of answers."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path

from jupyter_turbopilot.sqlite_file import schema
from jupyter_turbopilot.sqlite_file.schema import Schema

SCHEMA = Schema(
    application=0x54504C54,
    version=2,
    tables="""CREATE TABLE answers (
    number INTEGER PRIMARY KEY, place BLOB NOT NULL UNIQUE,
    keys BLOB NOT NULL, answer BLOB NOT NULL, digest BLOB NOT NULL)""",
)

look = partial(schema.look, schema=SCHEMA)
is_ours = partial(schema.is_ours, schema=SCHEMA)
belonging = partial(schema.belonging, schema=SCHEMA)
prepare = partial(schema.prepare, schema=SCHEMA)


def located(name: str | Path) -> Path:
    """Return the file that the setting names, with links resolved.

    An OSError says why it names none. A relative path would be another file for each working folder.
    """
    try:
        path = Path(name).expanduser()
    except RuntimeError:
        raise OSError(errno.ENOENT, "the home folder that it begins with is not known") from None
    if not path.is_absolute():
        raise OSError(errno.EINVAL, "it is a relative path; write an absolute one, or begin it with ~/")
    if not path.name:
        raise OSError(errno.EISDIR, "it names a folder")
    try:
        return Path(os.path.realpath(path))
    except ValueError:
        raise OSError(errno.EINVAL, "it is not a valid path") from None


def unusable(name: str, reason: str) -> str:
    """Word that the file which the setting names cannot be used, and why."""
    return f"The file in c.Turbopilot.results_file, {name!r}, cannot be used: {reason}."
