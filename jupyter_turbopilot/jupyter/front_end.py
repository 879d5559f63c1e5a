"""Check that JupyterLab loads the front end of this package."""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.models.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import PackagePath

_NAME = "jupyter-turbopilot"
_INSTALL = f"python -m pip install --force-reinstall {_NAME}"
_RELOAD = "reload the pages that are open"
_VERSIONS = "version {}, and the package is {}"
_DIFFERENT = "a different build from the package's"


class Build(NamedTuple):
    """The identity of a build: its version, and its entry file, whose name contains a digest."""

    version: str
    entry: str


def own_build(sources: Path) -> Path:
    """Return the folder of the package's own build: in its sources, or where pip installed it."""
    if not sources.is_dir() and (file := _recorded()):
        return Path(str(file.locate())).parent
    return sources


def _recorded() -> PackagePath | None:
    """Return the package.json that pip installed."""
    with suppress(PackageNotFoundError):
        for file in files(_NAME) or ():
            if file.parts[-3:] == ("labextensions", _NAME, "package.json"):
                return file
    return None


def examine(folders: Iterable[str], own: Path) -> Finding:
    """Compare the build that JupyterLab loads from these folders with the package's own."""
    there = (Path(folder) / _NAME for folder in folders)
    builds = [one for one in there if (one / "package.json").is_file()]
    if not builds:
        return _problem(f"it is missing. Run: {_INSTALL}")
    found, *hidden = builds
    build, expected = _whole_build_in(found), build_in(own)
    if build and expected in {None, build}:
        if other := _other_than_installed(build, found, own):
            return _problem(f"JupyterLab loads {found}, which is {other}. Run: {_INSTALL}, then {_RELOAD}")
        return Finding("front end", "the JupyterLab extension is installed")
    # If no lower-ranked folder contains the right build, advise to reinstall the package.
    hides = expected is not None and expected in map(_whole_build_in, hidden)
    remedy = f"{'Delete that folder' if hides else f'Run: {_INSTALL}'}, then {_RELOAD}"
    if build is None or expected is None:
        return _problem(f"{found} is damaged. {remedy}")
    versions = _VERSIONS.format(build.version, expected.version)
    which = versions if build.version != expected.version else _DIFFERENT
    return _problem(f"JupyterLab loads {found}, which is {which}. {remedy}")


def _other_than_installed(build: Build, found: Path, own: Path) -> str:
    """Return how a build differs from the installed package; empty if it does not.

    If JupyterLab loads the package's own folder, comparing builds proves nothing: another package may have
    overwritten it.
    """
    with suppress(PackageNotFoundError):
        # npm writes 1.2.3-rc.1, and Python 1.2.3rc1.
        if build.version.replace("-rc.", "rc") != (installed := version(_NAME)):
            return _VERSIONS.format(build.version, installed)
    file = _recorded()
    if file and file.hash and own.is_dir() and own.samefile(found):
        digest = hashlib.sha256((found / "package.json").read_bytes()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != file.hash.value:
            return _DIFFERENT
    return ""


def build_in(folder: Path) -> Build | None:
    """Return the build in a folder, or None if it cannot be read."""
    try:
        described = json.loads((folder / "package.json").read_text("utf-8"))
        return Build(str(described["version"]), str(described["jupyterlab"]["_build"]["load"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _whole_build_in(folder: Path) -> Build | None:
    """Return the build in a folder if its entry file exists."""
    build = build_in(folder)
    return build if build and (folder / build.entry).is_file() else None


def _problem(text: str) -> Finding:
    return Finding("front end", text, problem=True)
