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
    files = sorted({*(ours(models) if mine else ()), *personal_files(own), *indexes, *results, *study})
    stale, living = runtime.survey()
    places = " and ".join(map(str, sorted({*folders, *(file.parent for file in (*indexes, *results))})))
    ended = count_of(len(stale), "runtime file")
    if not options.yes and not agreed(
        f"Remove {size_of_all(files)} in {count_of(len(files), 'file')} from {places}, "
        f"and {ended} of servers that have ended?"
    ):
        return 1
    done = f"{size_of_all(files)} in {count_of(len(files), 'file')} and {ended} removed."
    remaining = remove([*files, *stale])
    for place in (*folders, folder().parent):
        remove_empty(place, files)
    print(done)
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
    """Return the study log's files, to be deleted in a folder of ours and to be left anywhere else."""
    from jupyter_turbopilot.study.file import files_of, located, lock_path

    try:
        path = located(settings.study_log) if settings.study_log else None
    except OSError:
        path = None
    files = files_of(path) if path else []
    if path and any(path.is_relative_to(folder) for folder in folders):
        return [*files, lock_path(path)], []
    return [], files


def _results(settings: Turbopilot) -> tuple[list[Path], str]:
    """Return the file that keeps answers, with what belongs to it, and why it could not be looked at."""
    from jupyter_turbopilot.completer.results_file.disk import belonging
    from jupyter_turbopilot.completer.results_file.trouble import unusable
    from jupyter_turbopilot.sqlite_file.ground import located
    from jupyter_turbopilot.sqlite_file.trouble import reason_of

    if not settings.results_file:
        return [], ""
    try:
        target = located(settings.results_file)
        files = belonging(target)
        named = Path(settings.results_file).expanduser()
        return ([*files, named] if target in files and named.is_symlink() else files), ""
    except OSError as error:
        return [], unusable(settings.results_file, reason_of(error))


COMMAND = Command(
    "purge",
    "remove downloaded models, what was made of them, kept answers, indexes of your code, and runtime files",
    Options,
    declare,
    run,
)
