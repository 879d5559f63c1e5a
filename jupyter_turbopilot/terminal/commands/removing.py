"""`jupyter turbopilot purge` and `forget`: delete all files, or what was stored of the user's code."""

from __future__ import annotations

import secrets
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.terminal.commands.checks import Leftovers, delete, leftovers_of
from jupyter_turbopilot.terminal.commands.command import without_options
from jupyter_turbopilot.util.files import count_of, describe_size, size_of
from jupyter_turbopilot.util.registry import FAULTS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from jupyter_turbopilot.settings.config import Turbopilot

NAMED = 20  # maximum number of names to list


def declare_purge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    parser.set_defaults(execute=purge)


def purge(options: argparse.Namespace, settings: Turbopilot) -> int:
    """Delete the files that Turbopilot wrote."""
    from jupyter_turbopilot.index.paths import folder, index_files
    from jupyter_turbopilot.jupyter import runtime
    from jupyter_turbopilot.models.folder import models_dir, others, ours
    from jupyter_turbopilot.models.user_cache import personal_dir, personal_files
    from jupyter_turbopilot.util.files import is_writable

    models, own, indexes = models_dir(settings.models_dir), personal_dir(), index_files()
    stale, living = runtime.survey()
    folders = [models, own] if is_writable(models) else [own]
    kinds = [
        *leftovers_of(settings),
        Leftovers(
            sorted({*ours(models)}) if models in folders else (),
            {
                "Not deleted, because Turbopilot has no record of downloading it": chain(
                    *map(others, folders)
                ),
                "Not deleted, because you may not write there": {models} - {*folders},
                "Not deleted, because their servers are running, possibly on other machines": living,
            },
        ),
        Leftovers([*personal_files(own), *indexes]),
        _completion_cache(settings),
    ]
    files = [file for kind in kinds for file in kind.files]
    elsewhere = {file.parent for file in files if not any(map(file.is_relative_to, folders))}
    places = " and ".join(map(str, sorted(elsewhere.union(folders))))
    size, ended = size_of_all(files), count_of(len(stale), "runtime file")
    if not options.yes and not confirmed(
        f"Delete {size} in {count_of(len(files), 'file')} from {places}, and {ended} of stopped servers?"
    ):
        return 1
    remaining = [file for kind in kinds for file in remove(kind.files, kind.delete)]
    print(f"{size} in {count_of(len(files) - len(remaining), 'file')} and {ended} deleted.")
    remaining += remove(stale)
    for place in (*folders, folder().parent):
        remove_empty(place, files)
    list_names("Could not be deleted", remaining)
    for kind in kinds:
        for reason, names in kind.kept.items():
            list_names(reason, {*names} - {*remaining})
    errors = [kind.error for kind in kinds if kind.error]
    print(*errors, sep="\n", end="\n" if errors else "")
    return 1 if remaining or errors else 0


def _completion_cache(settings: Turbopilot) -> Leftovers:
    import sqlite3

    from jupyter_turbopilot.completer.cache.cache_file import SCHEMA, locate, unusable
    from jupyter_turbopilot.util.sqlite_file import reason_of

    if not settings.cache_file:
        return Leftovers()
    try:
        target = locate(settings.cache_file)
        files = SCHEMA.owned_files(target)
        named = Path(settings.cache_file).expanduser()
        if target in files and named.is_symlink():
            files = [*files, named]
    except (OSError, sqlite3.Error) as error:
        return Leftovers(error=unusable(settings.cache_file, reason_of(error)))
    servers = servers_with(files[0]) if files else []
    return Leftovers(files, {"These servers create a new file with their next completion": servers})


def forget(_: argparse.Namespace, settings: Turbopilot) -> int:
    """Delete what was stored of the user's code, also where a running server has it open."""
    from jupyter_turbopilot.index.paths import candidates
    from jupyter_turbopilot.jupyter import runtime
    from jupyter_turbopilot.models.user_cache import personal_dir, sequences

    files = list(sequences(personal_dir()))
    deleted = f"Saved sequences: {size_of_all(files)} deleted."
    remaining = remove(files)
    if not remaining:
        print(deleted if files else "There are no saved sequences.")
    indexes = candidates()
    for path in indexes:
        remaining += _clear_index(path)
    print(
        "Jupyter servers and IPython create new indexes when they are restarted. "
        "Set c.Turbopilot.notebook_index = False to keep none."
        if indexes
        else "There is no index."
    )
    remaining += _clear_cache(settings)
    list_names("Could not be deleted", remaining)
    list_names(
        "These running servers keep completions and prompts in memory, and save the prompts when they stop",
        runtime.survey()[1],
    )
    return 1 if remaining else 0


def _clear_index(path: Path) -> list[Path]:
    """Empty an index, which a server may have open; return the files that could not be deleted."""
    import sqlite3

    from jupyter_turbopilot.index.paths import index_files
    from jupyter_turbopilot.index.store import SCHEMA, IndexStore
    from jupyter_turbopilot.util.sqlite_file import is_busy, reason_of

    try:
        if not SCHEMA.is_ours(path):
            return []
        with closing(IndexStore(path)) as store:
            root, documents = store.noted("root"), store.count()
            store.clear(secrets.token_hex(8))
    except (OSError, ValueError, sqlite3.Error) as error:
        files = [] if is_busy(error) else index_files(path)
        remaining = remove(files) if path in files else [path]
        reason = "it cannot be read" if isinstance(error, ValueError) else reason_of(error)
        print(f"{path}: {reason}." if remaining else f"{path} was damaged: it is deleted.")
        return remaining
    print(f"{root}: {count_of(documents, 'file')} removed from the index.")
    return []


def _clear_cache(settings: Turbopilot) -> list[Path]:
    """Empty the completion cache, unless Turbopilot did not create its file."""
    import sqlite3

    from jupyter_turbopilot.completer.cache.cache_file import FILE_BYTES, SCHEMA, Database, locate, unusable
    from jupyter_turbopilot.util.sqlite_file import FileState, reason_of

    if not settings.cache_file:
        return []
    try:
        path = locate(settings.cache_file)
        found = SCHEMA.state_of(path)
        if found is FileState.OURS:
            with closing(Database(path, FILE_BYTES)) as database:
                completions = database.count()
                database.clear()
            print(f"{path}: {count_of(completions, 'completion')} deleted.")
        elif found is not FileState.NOTHING:
            files = SCHEMA.owned_files(path)
            remaining = remove(files) if path in files else [path]
            print(f"{path} was {found.value}: it is {'not changed' if remaining else 'deleted'}.")
            return remaining
    except (OSError, sqlite3.Error) as error:
        print(unusable(settings.cache_file, reason_of(error)))
        return [Path(settings.cache_file)]
    return []


declare_forget = without_options(forget)


def remove(files: Iterable[Path], delete: Callable[[Path], None] = delete) -> list[Path]:
    """Delete files; return those that could not be deleted."""
    remaining = []
    for path in files:
        try:
            delete(path)
        except FAULTS:  # a plugin's function may delete them
            remaining.append(path)
    return remaining


def remove_empty(folder: Path, files: Iterable[Path]) -> None:
    """Delete folders that became empty when Turbopilot's files were deleted."""
    emptied = {parent for path in files for parent in path.parents if parent.is_relative_to(folder)}
    for one in sorted(emptied, key=lambda path: -len(path.parts)):
        with suppress(OSError):
            one.rmdir()


def size_of_all(files: Iterable[Path]) -> str:
    return describe_size(sum(map(size_of, files)))


def list_names(words: str, names: Iterable[Path | str]) -> None:
    """Print the names of files or servers, up to a limit."""
    named = sorted(map(str, names))
    if not named:
        return
    print(f"{words}:")
    for name in named[:NAMED]:
        print(f"  {name}")
    if len(named) > NAMED:
        print(f"  and {len(named) - NAMED} more")


def confirmed(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def servers_with(path: Path) -> list[str]:
    """Return the URLs of this machine's servers whose settings name the file."""
    from jupyter_turbopilot.completer.cache.cache_file import locate
    from jupyter_turbopilot.jupyter import runtime

    def names_it(name: str) -> bool:
        try:
            return bool(name) and locate(name) == path
        except OSError:
            return False

    return [server.url for server in runtime.running() if names_it(server.cache_file)]
