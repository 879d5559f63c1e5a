"""Which front end JupyterLab loads, and whether it is the one of this package."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.pilot.kinds.base import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME = "jupyter-turbopilot"
_INSTALL = f"python -m pip install --force-reinstall {_NAME}"


class Build(NamedTuple):
    """What tells one build from another: its version, and its first file, which is named by its digest."""

    version: str
    entry: str


def examine(folders: Iterable[str], own: Path) -> Finding:
    """Compare what JupyterLab would load from these folders with the build that the package holds."""
    there = (Path(folder) / _NAME for folder in folders)
    found = next((one for one in there if (one / "package.json").is_file()), None)
    if found is None:
        return _problem(f"it is missing. Run: {_INSTALL}")
    build, expected = build_in(found), build_in(own)
    if build is None or not (found / build.entry).is_file():
        return _problem(f"{found} is damaged. {_remedy(found)}")
    if expected and build != expected:
        versions = f"version {build.version}, and the package is {expected.version}"
        which = versions if build.version != expected.version else "another build than the package's"
        return _problem(f"JupyterLab loads {found}, which is {which}. {_remedy(found)}")
    return Finding("front end", "the JupyterLab extension is installed")


def build_in(folder: Path) -> Build | None:
    """Return which build is in a folder; None where that cannot be read."""
    try:
        described = json.loads((folder / "package.json").read_text("utf-8"))
        return Build(str(described["version"]), str(described["jupyterlab"]["_build"]["load"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remedy(found: Path) -> str:
    """Say what to do about a folder: one outside of this Python hides what is installed with it."""
    what = f"Run: {_INSTALL}" if found.is_relative_to(sys.prefix) else "Delete that folder"
    return f"{what}, then reload the pages that are open"


def _problem(text: str) -> Finding:
    return Finding("front end", text, problem=True)
