"""Where the project's repository is: the one place that says so is `repository` in labextension/package.json.

The wheel's metadata with PyPI's page, the conda recipe and the badge in README.md take it from there; until
it is there, the badge is left out, and nothing can be released.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

import build_site

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "labextension" / "package.json"
NOTEBOOK = "binder/demo.ipynb"


def address(package: Path = PACKAGE) -> str:
    """Return the repository's address for a browser; empty until package.json names it."""
    said = json.loads(package.read_text("utf-8")).get("repository", "")
    url = said.get("url", "") if isinstance(said, dict) else said
    return str(url).removeprefix("git+").removesuffix("/").removesuffix(".git")


def badge(url: str) -> str:
    """Return the line that opens the demo on Binder, for a repository on GitHub; empty for any other."""
    place = urlsplit(url)
    if place.hostname != "github.com":
        return ""
    opened = f"urlpath={quote(f'lab/tree/{NOTEBOOK}', safe='')}"
    binder = "https://mybinder.org"
    return f"[![Try it on Binder]({binder}/badge_logo.svg)]({binder}/v2/gh{place.path}/HEAD?{opened})"


def page(readme: str, url: str, version: str) -> str:
    """Return README.md for PyPI, which has no other files: links lead to those of the release. Pure."""
    if not url:
        return readme

    def place(target: str) -> str:
        if not relative(target):
            return target
        picture = PurePosixPath(target).suffix in {".gif", ".png", ".svg"}
        return f"{url}/{'raw' if picture else 'blob'}/v{version}/{target}"

    return build_site.relinked(readme, place)


def relative(target: str) -> bool:
    """Tell whether a link leads to a file beside the document."""
    return not urlsplit(target).scheme and not target.startswith("#")
