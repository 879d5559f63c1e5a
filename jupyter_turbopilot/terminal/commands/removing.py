"""`jupyter turbopilot purge` and `forget`, and functions to delete files, which other commands share."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.util.files import count_of, describe_size, size_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from jupyter_turbopilot.settings.config import Turbopilot

NAMED = 20  # maximum number of names to list


def declare_purge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    parser.set_defaults(execute=purge)


def declare_forget(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(execute=forget)


def purge(options: argparse.Namespace, settings: Turbopilot) -> int:
    """Delete the files that Turbopilot wrote."""
    from jupyter_turbopilot.index.paths import folder, index_files
    from jupyter_turbopilot.jupyter import runtime
    from jupyter_turbopilot.models.folder import models_dir, others, ours
    from jupyter_turbopilot.models.personal import personal_dir, personal_files
    from jupyter_turbopilot.util.files import is_writable

    models, own = models_dir(settings.models_dir), personal_dir()
    mine = is_writable(models)
    folders = [models, own] if mine else [own]
    indexes = index_files()
    results, error = _results(settings)
    servers = servers_with(results[0]) if results else []
    usage_log, kept_usage_log = _usage_log(settings, (own, folder().parent))
    files = sorted({*(ours(models) if mine else ()), *personal_files(own), *indexes, *results})
    stale, living = runtime.survey()
    places = " and ".join(
        map(str, sorted({*folders, *(file.parent for file in (*indexes, *results, *usage_log))}))
    )
    ended = count_of(len(stale), "runtime file")
    size = size_of_all([*files, *usage_log])
    if not options.yes and not confirmed(
        f"Delete {size} in {count_of(len(files) + len(usage_log), 'file')} from {places}, "
        f"and {ended} of stopped servers?"
    ):
        return 1
    remaining = remove([*files, *stale])
    stuck = [log for log in usage_log if not _delete(log)]
    remaining += stuck
    for place in (*folders, folder().parent):
        remove_empty(place, [*files, *usage_log])
    print(f"{size} in {count_of(len(files) + len(usage_log) - len(stuck), 'file')} and {ended} deleted.")
    list_names("Could not be deleted", remaining)
    list_names(
        "Not deleted, because it is a usage log (delete it with: jupyter turbopilot usage-log clear)",
        kept_usage_log,
    )
    left = {path for place in folders for path in others(place)}
    list_names("Not deleted, because Turbopilot has no record of downloading it", left - set(remaining))
    list_names("Not deleted, because you may not write there", [] if mine else [models])
    list_names("Not deleted, because their servers are running, possibly on other machines", living)
    list_names("These servers create a new file with their next completion", servers)
    if error:
        print(error)
    return 1 if remaining or error else 0


def _usage_log(settings: Turbopilot, folders: tuple[Path, ...]) -> tuple[list[Path], list[Path]]:
    """Return the usage log: first if it is in a folder of Turbopilot, second if it is in another one."""
    from jupyter_turbopilot.plugins.usage.file import is_log, locate

    try:
        path = locate(settings.usage_log)
        place = path.parent.resolve()  # the path may contain `..` or links
        if not is_log(path):
            return [], []
        for folder in folders:
            if place.is_relative_to(folder.resolve()):
                return [folder / place.relative_to(folder.resolve()) / path.name], []
    except (OSError, RuntimeError):
        return [], []
    return [], [path]


def _delete(log: Path) -> bool:
    """Delete a usage log; return whether it succeeded."""
    from jupyter_turbopilot.plugins.usage.file import delete

    try:
        delete(log)
    except OSError:
        return False
    return True


def _results(settings: Turbopilot) -> tuple[list[Path], str]:
    """Return the files of the completion cache, and the reason if they cannot be examined."""
    import sqlite3

    from jupyter_turbopilot.completer.cache.cache_file import SCHEMA, locate, unusable
    from jupyter_turbopilot.util.sqlite_file.connection import reason_of

    if not settings.cache_file:
        return [], ""
    try:
        target = locate(settings.cache_file)
        files = SCHEMA.owned_files(target)
        named = Path(settings.cache_file).expanduser()
        return ([*files, named] if target in files and named.is_symlink() else files), ""
    except (OSError, sqlite3.Error) as error:
        return [], unusable(settings.cache_file, reason_of(error))


def forget(_: argparse.Namespace, __: Turbopilot) -> int:
    """Delete the saved sequences of notebooks."""
    from jupyter_turbopilot.jupyter import runtime
    from jupyter_turbopilot.models.personal import personal_dir, sequences

    files = list(sequences(personal_dir()))
    done = f"{size_of_all(files)} deleted." if files else "There are no saved sequences."
    remaining = remove(files)
    print(done)
    list_names("Could not be deleted", remaining)
    list_names(
        "These running servers keep evaluated prompts in memory, and save them when they stop",
        runtime.survey()[1],
    )
    return 1 if remaining else 0


def remove(files: Iterable[Path]) -> list[Path]:
    """Delete files; return those that could not be deleted."""
    remaining = []
    for path in files:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            remaining.append(path)
    return remaining


def remove_empty(folder: Path, files: Iterable[Path]) -> None:
    """Delete folders that became empty when Turbopilot's files were deleted."""
    emptied = {parent for path in files for parent in path.parents if parent.is_relative_to(folder)}
    for one in sorted(emptied, key=lambda path: -len(path.parts)):
        with suppress(OSError):
            one.rmdir()


def size_of_all(files: Iterable[Path]) -> str:
    """Return the total size of files, formatted."""
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
    """Ask for confirmation; the default is no."""
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
