"""The address of the project's repository, defined only by `repository` in labextension/package.json.

It is used in the wheel's metadata, PyPI's page, the conda recipe and README.md. Until it is set, badges that
need it are left out and releases are refused.
"""

from __future__ import annotations

import json
import posixpath
import tomllib
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

import build_site
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "labextension" / "package.json"
DISTRIBUTIONS = ("research", "packages/service")  # the folders of the other distributions
NOTEBOOK = "binder/demo.ipynb"
BADGES = "docs/pictures/badges.svg"  # its texts are those of `badges`


def address(package: Path = PACKAGE) -> str:
    """Return the repository's web address; empty until package.json defines it."""
    message = json.loads(package.read_text("utf-8")).get("repository", "")
    url = message.get("url", "") if isinstance(message, dict) else message
    return str(url).removeprefix("git+").removesuffix("/").removesuffix(".git")


def badges(url: str) -> str:
    """Return the picture of licence and oldest versions and, for a repository on GitHub, two more badges."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (lab,) = (one for one in map(Requirement, project["dependencies"]) if one.name == "jupyterlab")
    oldest = next(one.version for one in lab.specifier if one.operator == ">=")
    python = project["requires-python"].removeprefix(">=")
    text = f"licence {project['license']}, Python {python} or newer, JupyterLab {oldest} or newer"
    line = [f"![{text}]({BADGES})"]
    place = urlsplit(url)
    if place.hostname == "github.com":
        tests = f"{url}/actions/workflows/tests.yml"
        opened = f"urlpath={quote(f'lab/tree/{NOTEBOOK}', safe='')}"
        binder = "https://mybinder.org"
        line += [
            f"[![tests]({tests}/badge.svg)]({tests})",
            f"[![Try it on Binder]({binder}/badge_logo.svg)]({binder}/v2/gh{place.path}/HEAD?{opened})",
        ]
    return "\n".join(line)


def start(url: str) -> str:
    """Return the commands that open JupyterLab, after those that clone a repository with an address."""
    todo = (
        "Clone it, and build it"
        if url
        else "In the folder that contains this README.md and the Makefile, run"
    )
    lines = [f"git clone {url} jupyter-turbopilot", "cd jupyter-turbopilot"] if url else []
    return "\n".join(
        [
            f"{todo}:",
            "",
            "<!-- not run: it builds everything and opens a browser -->",
            "```bash",
            *lines,
            "make lab",
            "```",
        ]
    )


def support(url: str) -> str:
    """Return where to ask and to report problems."""
    if not url:
        return "Report problems where you got this copy: it does not name the address of its repository."
    return f"Ask, and report problems, in the [issues of the repository]({url}/issues)."


def page(readme: str, url: str, version: str, folder: str = "") -> str:
    """Return the README.md of a folder for PyPI, with links to the files of the release. Pure."""
    if not url:
        return readme

    def place(target: str) -> str:
        if not relative(target):
            return target
        picture = PurePosixPath(target).suffix in {".gif", ".png", ".svg"}
        path = posixpath.normpath(posixpath.join(folder, target))
        return f"{url}/{'raw' if picture else 'blob'}/v{version}/{path}"

    return build_site.relinked(readme, place)


def relative(target: str) -> bool:
    """Return whether a link is relative."""
    return not urlsplit(target).scheme and not target.startswith("#")
