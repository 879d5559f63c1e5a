"""List missing requirements with their installation commands before anything is built.

python3 scripts/preflight.py [--browser] [--wheel | --prebuilt]

`--node` checks only Node.js and prints nothing: where it is missing or too old, `make` takes it from PyPI.
Standard library only: nothing is installed yet.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)
OLDEST_NODE = {
    20: 19,
    21: None,
    22: 12,
}  # the oldest minor versions that Vite supports
ROOM = 4 * 1000**3  # bytes for the environment, front-end packages, engine build and model
ROOM_FOR_WHEEL = 1000**3  # bytes for the front-end packages
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def how(debian: str, mac: str) -> str:
    """Return the installation command for this system."""
    if platform.system() == "Darwin":
        return mac
    if shutil.which("apt-get"):
        return f"sudo apt-get install -y {debian}"
    if shutil.which("dnf"):
        return f"sudo dnf install {debian}  (or what your system calls it)"
    return f"install {debian}"


def browser() -> str | None:
    """Return the browser for the tests."""
    named = os.environ.get("CHROME_BIN")
    return next((found for name in (named, *BROWSERS) if name and (found := shutil.which(name))), None)


def node_version() -> tuple[int, int] | None:
    """Return Node's major and minor version."""
    try:
        message = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S607
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"v(\d+)\.(\d+)", message)
    return (int(found[1]), int(found[2])) if found else None


def node_suits(version: tuple[int, int] | None) -> bool:
    """Return whether the front end's packages support this version. Pure."""
    if version is None or version[0] < min(OLDEST_NODE):
        return False
    oldest = OLDEST_NODE.get(version[0], 0)
    return oldest is not None and version[1] >= oldest


def missing(*, with_browser: bool, with_engine: bool, with_compiler: bool) -> list[str]:
    """Return one line for each missing requirement."""
    found = []
    if sys.version_info < OLDEST_PYTHON:
        found.append(
            f"Python 3.11 or newer, not {platform.python_version()}: {how('python3', 'brew install python')}"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        found.append(f"Python's venv module: {how('python3-venv', 'brew install python')}")
    if with_compiler and not any(
        shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++")
    ):
        compiler = how("g++", "xcode-select --install")
        found.append(f"a C++ compiler: {compiler}\n    or without one: make lab ENGINE=prebuilt")
    room = ROOM if with_engine else ROOM_FOR_WHEEL
    if not Path(".venv/bin/python").exists() and (free := shutil.disk_usage(".").free) < room:
        found.append(f"disk space: {room / 1e9:.0f} GB are needed, {free / 1e9:.1f} GB are free")
    if with_browser and not browser():
        found.append(
            f"Chromium or Chrome, for the browser test: {how('chromium', 'brew install --cask chromium')}"
        )
    return found


if __name__ == "__main__":
    if "--node" in sys.argv:
        sys.exit(not (node_suits(node_version()) and shutil.which("npm")))
    wheel = "--wheel" in sys.argv
    lines = missing(
        with_browser="--browser" in sys.argv,
        with_engine=not wheel,
        with_compiler=not wheel and "--prebuilt" not in sys.argv,
    )
    if lines:
        sys.exit("Missing requirements:\n" + "\n".join(f"  - {line}" for line in lines))
