"""`jupyter turbopilot purge`: delete what our notes say we wrote, and name what stays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.commands.cache import servers_with
from jupyter_turbopilot.commands.command import Command
from jupyter_turbopilot.commands.removing import (
    agreed,
    list_names,
    remove,
    remove_empty,
    size_of_all,
)
from jupyter_turbopilot.wording import count_of

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.config import Turbopilot


@dataclass(frozen=True)
class Options:
    """Whether to ask first."""

    yes: bool


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def run(options: Options, settings: Turbopilot) -> int:
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
    """Return the study log, first if it is in a folder of ours, second if it is anywhere else."""
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

    from jupyter_turbopilot.completer.results_file import SCHEMA, located, unusable
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


COMMAND = Command(
    "purge",
    "remove downloaded models, what was made of them, kept answers, indexes of your code, and runtime files",
    Options,
    declare,
    run,
)
