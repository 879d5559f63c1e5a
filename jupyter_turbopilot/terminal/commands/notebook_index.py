"""`jupyter turbopilot index info` and `rebuild`: the notebook index."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.index.build import Builder, EndedError
from jupyter_turbopilot.index.local_files import LocalFiles
from jupyter_turbopilot.index.paths import folder, indexes, path_of, size_of_index
from jupyter_turbopilot.index.store import LIMIT, IndexStore
from jupyter_turbopilot.protocol.errors import BadRequestError, NotReadyError
from jupyter_turbopilot.settings.access import access_of
from jupyter_turbopilot.terminal.commands.command import without_options
from jupyter_turbopilot.util.files import count_of, describe_size
from jupyter_turbopilot.util.sqlite_file import reason_of

if TYPE_CHECKING:
    import argparse

    from jupyter_turbopilot.settings.config import Turbopilot


def declare_rebuild(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", nargs="?", default=".", help="the server's root folder; default: the current folder"
    )
    parser.set_defaults(execute=rebuild)


def info(_: argparse.Namespace, settings: Turbopilot) -> int:
    if not settings.notebook_index:
        print("The notebook index is off: c.Turbopilot.notebook_index is False.")
    found = indexes()
    for path in found:
        root, documents = _held(path)
        size, most = describe_size(size_of_index(path)), describe_size(LIMIT)
        print(f"{root}: {count_of(documents, 'file')}, {size} of at most {most}.")
        print(f"  {path}")
    if not found:
        print(f"{folder()}: there is no index.")
    return 0


def rebuild(options: argparse.Namespace, settings: Turbopilot) -> int:
    if not settings.notebook_index:
        raise NotReadyError(
            "The notebook index is off: c.Turbopilot.notebook_index is False.", code="index_off"
        )
    root = Path(options.folder).expanduser()
    if not root.is_dir():
        raise BadRequestError(f"{options.folder} is not a folder. Pass a server's root folder.")
    source = LocalFiles(root)
    access = access_of(settings, os.environ, source.root)
    access.require_enabled()
    path = path_of(source.identity, access.identity())
    builder = Builder(path, source, allows=access.allows)
    try:
        builder.build_now()
    except (OSError, NotImplementedError, sqlite3.Error) as error:
        raise NotReadyError(f"The index could not be built: {reason_of(error)}.", code="no_index") from None
    except EndedError:
        raise NotReadyError("The index was cleared while it was built. Try again.", code="no_index") from None
    size = describe_size(size_of_index(builder.path))
    print(f"{source.root}: {count_of(builder.progress.files, 'file')}, {size}.")
    return 0


def _held(path: Path) -> tuple[str, int]:
    """Return the folder of an index, and the number of indexed documents."""
    try:
        with closing(IndexStore(path)) as store:
            return store.noted("root"), store.count()
    except (OSError, ValueError, sqlite3.Error):
        return f"{path.name}, which cannot be read", 0


declare_info = without_options(info)
