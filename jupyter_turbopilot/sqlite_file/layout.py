"""What a SQLite file of ours holds, which distinguishes it from other files and from other versions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """The content of an empty file, and how to find out whether it can be written to."""

    application: int  # SQLite's header says whose file it is
    version: int
    statements: tuple[str, ...]  # that make the tables
    trial: tuple[str, str]  # what one connection writes and another deletes
    sound: str = "SELECT 1"  # a query that says of a file with the right tables whether it can be used
