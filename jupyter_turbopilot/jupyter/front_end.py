"""Check that JupyterLab loads the front end of this package."""

from __future__ import annotations

import json
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.models.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = "jupyter-turbopilot"
_INSTALL = f"python -m pip install --force-reinstall {_NAME}"


class Build(NamedTuple):
    """The identity of a build: its version, and its entry file, whose name contains a digest."""

    version: str
    entry: str


def own_build(sources: Path) -> Path:
    """Return the folder of the package's own build: in its sources, or where pip installed it."""
    with suppress(PackageNotFoundError):
        for file in files(_NAME) or ():
            if not sources.is_dir() and file.parts[-3:] == ("labextensions", _NAME, "package.json"):
                return Path(str(file.locate())).parent
    return sources


def examine(folders: Iterable[str], own: Path) -> Finding:
    """Compare the build that JupyterLab loads from these folders with the package's own."""
    there = (Path(folder) / _NAME for folder in folders)
    found = next((folder for folder in there if (folder / "package.json").is_file()), None)
    if not found:
        return Finding("front end", f"it is missing. Run: {_INSTALL}", problem=True)
    build, expected = build_in(found), build_in(own)
    if build and expected in {None, build}:
        return Finding("front end", "the JupyterLab extension is installed")
    which = "damaged, or not the build of this package"
    if build and expected and build.version != expected.version:
        which = f"version {build.version}, and the package is {expected.version}"
    return Finding(
        "front end",
        f"JupyterLab loads {found}, which is {which}. Delete that folder, run: {_INSTALL}, then reload the "
        "pages that are open",
        problem=True,
    )


def build_in(folder: Path) -> Build | None:
    """Return the build in a folder, or None if it or its entry file cannot be read."""
    try:
        described = json.loads((folder / "package.json").read_text("utf-8"))
        build = Build(str(described["version"]), str(described["jupyterlab"]["_build"]["load"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return build if (folder / build.entry).is_file() else None
