"""`jupyter turbopilot cache info` and `clear`: the persistent completion cache."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import accumulate
from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.cache.cache_file import FILE_BYTES, SCHEMA, Database, locate, unusable
from jupyter_turbopilot.completer.cache.completion_cache import CACHE_BYTES
from jupyter_turbopilot.protocol.errors import BadRequestError, NotReadyError
from jupyter_turbopilot.terminal.commands.command import without_options
from jupyter_turbopilot.terminal.commands.removing import list_names, remove, servers_with
from jupyter_turbopilot.util.files import count_of, describe_size, size_of
from jupyter_turbopilot.util.sqlite_file import FileState, reason_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_turbopilot.settings.config import Turbopilot


def _on_the_file(act: Callable[[Path], int]) -> Callable[[argparse.Namespace, Turbopilot], int]:
    """Return a command that calls `act` with the cache file, if the settings name one."""

    def run(_: argparse.Namespace, settings: Turbopilot) -> int:
        if not settings.cache_file:
            print("No cache file is set. Completions are cached in memory until the server stops.")
            print("Set c.Turbopilot.cache_file to keep them in a file.")
            return 0
        try:
            return act(locate(settings.cache_file))
        except OSError as error:
            raise BadRequestError(unusable(settings.cache_file, reason_of(error))) from None
        except sqlite3.Error as error:
            raise NotReadyError(unusable(settings.cache_file, reason_of(error))) from None

    return run


def info(path: Path) -> int:
    """Print the number of cached completions in the file, and how many a server loads."""
    found = SCHEMA.state_of(path)
    if found is FileState.NOTHING:
        print(f"{path}: nothing is cached yet.")
    elif found is FileState.OURS:
        with closing(Database(path, FILE_BYTES)) as database:
            answers = database.count()
            sizes = accumulate(answer.size for answer in database.newest())
            read = sum(size <= CACHE_BYTES for size in sizes)
        size = describe_size(sum(map(size_of, SCHEMA.owned_files(path))))
        kept = count_of(answers, "completion")
        print(f"{path}: {kept}, {size} of at most {describe_size(FILE_BYTES)}.")
        print(f"A starting server loads {read} of them into {describe_size(CACHE_BYTES)} of memory.")
    else:
        action = "moves it aside" if found is FileState.FOREIGN else "deletes it"
        print(f"{path} is {found.value}. The next server {action} and creates a new one.")
        return 1
    return 0


def clear(path: Path) -> int:
    """Delete all completions in the file, unless Turbopilot did not create it."""
    found = SCHEMA.state_of(path)
    remaining: list[Path] = []
    if found is FileState.NOTHING:
        print("Nothing is cached.")
        return 0
    if found is FileState.OURS:
        with closing(Database(path, FILE_BYTES)) as database:
            answers = database.count()
            database.clear()
        print(f"{count_of(answers, 'completion')} deleted.")
    elif files := SCHEMA.owned_files(path):
        print(f"{path} was {found.value}: it is deleted.")
        remaining = remove(files)
        list_names("Could not be deleted", remaining)
    else:
        print(f"{path} is {found.value}: it was not changed.")
        return 1
    list_names("These servers keep their completions in memory until they stop", servers_with(path))
    return 1 if remaining else 0


declare_info = without_options(_on_the_file(info))
declare_clear = without_options(_on_the_file(clear))
