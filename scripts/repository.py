"""The address of the project's repository, defined only by `repository` in labextension/package.json.

It is used in the wheel's metadata, PyPI's page, the conda recipe and the badge in README.md. Until it is set,
the badge is left out and releases are refused.
"""

from __future__ import annotations

import json
import posixpath
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

import build_site

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "labextension" / "package.json"
DISTRIBUTIONS = ("research", "packages/service")  # the folders of the other distributions
NOTEBOOK = "binder/demo.ipynb"


def address(package: Path = PACKAGE) -> str:
    """Return the repository's web address; empty until package.json defines it."""
    message = json.loads(package.read_text("utf-8")).get("repository", "")
    url = message.get("url", "") if isinstance(message, dict) else message
    return str(url).removeprefix("git+").removesuffix("/").removesuffix(".git")


def badge(url: str) -> str:
    """Return the badge line that opens the demo on Binder; empty for repositories outside GitHub."""
    place = urlsplit(url)
    if place.hostname != "github.com":
        return ""
    opened = f"urlpath={quote(f'lab/tree/{NOTEBOOK}', safe='')}"
    binder = "https://mybinder.org"
    return f"[![Try it on Binder]({binder}/badge_logo.svg)]({binder}/v2/gh{place.path}/HEAD?{opened})"


def start(url: str) -> str:
    """Return the commands that open JupyterLab, after those that clone a repository with an address."""
    todo = "Clone this repository, and build it" if url else "In this folder, run"
    lines = [f"git clone {url} jupyter-turbopilot", "cd jupyter-turbopilot"] if url else []
    return "\n".join(
        [
            f"There is no release on PyPI yet. {todo}:",
            "",
            "<!-- not run: it builds everything and opens a browser -->",
            "```bash",
            *lines,
            "make lab",
            "```",
        ]
    )


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
