"""List missing requirements with their installation commands before anything is built.

python3 scripts/preflight.py [--browser | --wheel]     Standard library only: nothing is installed yet.
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


def how_node() -> str:
    """Return the installation command for Node.js; distributions' packages are often too old."""
    if platform.system() == "Darwin":
        return "brew install node"
    return (
        "nvm install --lts (https://github.com/nvm-sh/nvm), or NodeSource's packages "
        "(https://github.com/nodesource/distributions); Debian 12's and Ubuntu 24.04's own are too old"
    )


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


def missing(*, with_browser: bool, with_engine: bool) -> list[str]:
    """Return one line for each missing requirement. Only building the engine needs a compiler."""
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
    if with_engine and not any(
        shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++")
    ):
        found.append(f"a C++ compiler: {how('g++', 'xcode-select --install')}")
    if with_engine and not shutil.which("cmake"):
        found.append(f"cmake: {how('cmake', 'brew install cmake')}")
    node = node_version()
    if not node_suits(node):
        seen = f" (this is {node[0]}.{node[1]})" if node else ""
        found.append(f"Node.js 20.19, or 22.12 or newer{seen}: {how_node()}")
    elif not shutil.which("npm"):
        found.append(f"npm: {how('npm', 'brew install node')}")
    room = ROOM if with_engine else ROOM_FOR_WHEEL
    if not Path(".venv/bin/python").exists() and (free := shutil.disk_usage(".").free) < room:
        found.append(f"disk space: {room / 1e9:.0f} GB are needed, {free / 1e9:.1f} GB are free")
    if with_browser and not browser():
        found.append(
            f"Chromium or Chrome, for the browser test: {how('chromium', 'brew install --cask chromium')}"
        )
    return found


if __name__ == "__main__":
    lines = missing(with_browser="--browser" in sys.argv, with_engine="--wheel" not in sys.argv)
    if lines:
        sys.exit("Missing requirements:\n" + "\n".join(f"  - {line}" for line in lines))
