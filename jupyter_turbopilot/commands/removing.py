"""`jupyter turbopilot purge` and `forget`; and removal of files, which other commands share."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.commands.command import Command, NoOptions
from jupyter_turbopilot.files import count_of, describe_size, size_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from jupyter_turbopilot.config import Turbopilot

NAMED = 20  # up to here names are listed, then counted


@dataclass(frozen=True)
class Options:
    """Whether to ask first."""

    yes: bool


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def purge(options: Options, settings: Turbopilot) -> int:
    """Remove what we wrote."""
    from jupyter_turbopilot.files import is_writable
    from jupyter_turbopilot.memory.places import folder, index_files
    from jupyter_turbopilot.models.folder import models_dir, others, ours
    from jupyter_turbopilot.models.personal import personal_dir, personal_files
    from jupyter_turbopilot.server import runtime

    models, own = models_dir(settings.models_dir), personal_dir()
    mine = is_writable(models)
    folders = [models, own] if mine else [own]
    indexes = index_files()
    results, trouble = _results(settings)
    servers = servers_with(results[0]) if results else []
    study, kept_study = _study(settings, (own, folder().parent))
    files = sorted({*(ours(models) if mine else ()), *personal_files(own), *indexes, *results})
    stale, living = runtime.survey()
    places = " and ".join(
        map(str, sorted({*folders, *(file.parent for file in (*indexes, *results, *study))}))
    )
    ended = count_of(len(stale), "runtime file")
    size = size_of_all([*files, *study])
    if not options.yes and not agreed(
        f"Remove {size} in {count_of(len(files) + len(study), 'file')} from {places}, "
        f"and {ended} of servers that have ended?"
    ):
        return 1
    remaining = remove([*files, *stale])
    stuck = [log for log in study if not _delete(log)]
    remaining += stuck
    for place in (*folders, folder().parent):
        remove_empty(place, [*files, *study])
    print(f"{size} in {count_of(len(files) + len(study) - len(stuck), 'file')} and {ended} removed.")
    list_names("Could not be removed", remaining)
    list_names("Left, because it is a study's (jupyter turbopilot study clear deletes it)", kept_study)
    left = {path for place in folders for path in others(place)}
    list_names("Left, because no note says that it was downloaded", left - set(remaining))
    list_names("Left, because you may not write there", [] if mine else [models])
    list_names("Left, because their servers run, or run elsewhere", living)
    list_names("These servers begin a new file with their next answer", servers)
    if trouble:
        print(trouble)
    return 1 if remaining or trouble else 0


def _study(settings: Turbopilot, folders: tuple[Path, ...]) -> tuple[list[Path], list[Path]]:
    """Return the usage log: first if it is in a folder of Turbopilot, second if it is elsewhere."""
    from jupyter_turbopilot.study.file import is_log, located

    try:
        path = located(settings.study_log)
        place = path.parent.resolve()  # the setting may lead out of a folder again, or into one by a link
        if not is_log(path):
            return [], []
        for folder in folders:
            if place.is_relative_to(folder.resolve()):
                return [folder / place.relative_to(folder.resolve()) / path.name], []
    except (OSError, RuntimeError):
        return [], []
    return [], [path]


def _delete(log: Path) -> bool:
    """Delete a study log; return whether it is gone."""
    from jupyter_turbopilot.study.file import delete

    try:
        delete(log)
    except OSError:
        return False
    return True


def _results(settings: Turbopilot) -> tuple[list[Path], str]:
    """Return the file that keeps answers, with what belongs to it, and why it could not be looked at."""
    import sqlite3

    from jupyter_turbopilot.cache.results_file import SCHEMA, located, unusable
    from jupyter_turbopilot.sqlite_file.connection import reason_of

    if not settings.results_file:
        return [], ""
    try:
        target = located(settings.results_file)
        files = SCHEMA.belonging(target)
        named = Path(settings.results_file).expanduser()
        return ([*files, named] if target in files and named.is_symlink() else files), ""
    except (OSError, sqlite3.Error) as error:
        return [], unusable(settings.results_file, reason_of(error))


def forget(_: NoOptions, __: Turbopilot) -> int:
    """Remove the saved key-value sequences of notebooks."""
    from jupyter_turbopilot.models.personal import personal_dir, sequences
    from jupyter_turbopilot.server import runtime

    files = list(sequences(personal_dir()))
    done = f"{size_of_all(files)} removed." if files else "Nothing was kept."
    remaining = remove(files)
    print(done)
    list_names("Could not be removed", remaining)
    list_names(
        "A server that runs keeps what it has read, and writes it down when it stops", runtime.survey()[1]
    )
    return 1 if remaining else 0


def remove(files: Iterable[Path]) -> list[Path]:
    """Delete files; return those that could not be."""
    remaining = []
    for path in files:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            remaining.append(path)
    return remaining


def remove_empty(folder: Path, files: Iterable[Path]) -> None:
    """Delete the folders that our files leave empty."""
    emptied = {parent for path in files for parent in path.parents if parent.is_relative_to(folder)}
    for one in sorted(emptied, key=lambda path: -len(path.parts)):
        with suppress(OSError):
            one.rmdir()


def size_of_all(files: Iterable[Path]) -> str:
    """Word how much files take together."""
    return describe_size(sum(map(size_of, files)))


def list_names(words: str, names: Iterable[Path | str]) -> None:
    """Print the names of files or servers, the first of them where there are many."""
    named = sorted(map(str, names))
    if not named:
        return
    print(f"{words}:")
    for name in named[:NAMED]:
        print(f"  {name}")
    if len(named) > NAMED:
        print(f"  and {len(named) - NAMED} more")


def agreed(question: str) -> bool:
    """Ask; no answer is no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def servers_with(path: Path) -> list[str]:
    """Return the addresses of the servers on this machine whose settings name the file."""
    from jupyter_turbopilot.cache.results_file import located
    from jupyter_turbopilot.server import runtime

    def names_it(name: str) -> bool:
        try:
            return bool(name) and located(name) == path
        except OSError:
            return False

    return [server.url for server in runtime.running() if names_it(server.results_file)]


PURGE = Command(
    "purge",
    "remove downloaded models, what was made of them, kept answers, indexes of your code, and runtime files",
    Options,
    purge,
    declare,
)
FORGET = Command("forget", "remove what was read of notebooks and kept for the next start", NoOptions, forget)
