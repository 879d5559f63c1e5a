"""Build the documentation site from the repository's Markdown, and check every link in it.

python scripts/build_site.py [--into FOLDER]

The pages are also readable on a forge, so links refer to files of the repository. This script arranges the
files as a site: `docs/` at the top, other documents under their own names, and other files as downloads. A
broken link to a file or heading is an error.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "research" / "benchmarks" / "results"
FOLDER = ROOT / ".make" / "docs"
MARK = ".jupyter-turbopilot-site"  # marks folders that this script may empty

# The order of the pages. Pages that do not exist are left out: not every checkout has every page.
CHAPTERS = {
    "Start": ["tutorial", "install", "troubleshooting"],
    "Use": ["jupyterlab", "fixes", "notebook-index", "ipython", "browser", "editors"],
    "Models": ["models", "engines"],
    "Administer": ["jupyterhub", "scale", "switching-off", "privacy"],
    "Reference": ["settings", "cli", "http"],
    "Research": ["measure", "usage-log", "results/index", "comparison"],
    "Develop": [
        "contributing",
        "architecture",
        "finding-fixes",
        "research",
        "service",
        "plugins",
        "recipes",
        "releasing",
        "security",
        "changes",
    ],
}
# Documents outside docs/, and their names on the site.
ELSEWHERE = {
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changes.md",
    "research/README.md": "research.md",
    "research/measure.md": "measure.md",
    "research/usage-log.md": "usage-log.md",
    "packages/service/README.md": "service.md",
    "packages/service/scale.md": "scale.md",
    "research/benchmarks/RESULTS.md": "results/index.md",
    "labextension/models/README.md": "browser-model.md",
    "binder/README.md": "binder.md",
}
HIDDEN = ["browser-model", "binder"]  # pages without a chapter, which other pages link to
_LINK = re.compile(
    r"(!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\()([^()\s]+)(\))|(\b(?:src|srcset|href)=\")([^\"]+)(\")"
)
_FENCE = re.compile(r"^\s*(```|~~~)")
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")


class LinkError(Exception):
    """A broken link."""


class FolderError(Exception):
    """The folder contains files that this script did not write."""


@dataclass(frozen=True)
class Site:
    """The documents of the repository and their locations on the site."""

    pages: dict[Path, str]  # by its file
    source: Path

    def place(self, target: str, document: Path) -> str:
        """Return the target of a document's link on the site."""
        if urlsplit(target).scheme:
            return checked(target, document)
        path, _, anchor = target.partition("#")
        if not path:
            return target
        file = (document.parent / path).resolve()
        if not file.is_relative_to(ROOT) or not file.is_file():
            raise LinkError(f"{document.relative_to(ROOT)}: there is no file {target}.")
        if file not in self.pages:
            self._copy(file)
        here = Path(self.pages[document]).parent
        there = os.path.relpath(self.pages.get(file, self._copied(file)), here)
        return f"{there}#{anchor}" if anchor else there

    @staticmethod
    def _copied(file: Path) -> str:
        """Return the location of a copied file; files in docs/ stay beside the pages."""
        inside = file.relative_to(ROOT)
        return str(inside.relative_to("docs") if inside.parts[0] == "docs" else Path("files") / inside)

    def _copy(self, file: Path) -> None:
        copy = self.source / self._copied(file)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def checked(address: str, document: Path) -> str:
    """Return an external URL after checking its syntax; no request is sent."""
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https", "mailto"} or (
        parts.scheme != "mailto" and "." not in parts.netloc
    ):
        raise LinkError(f"{document.relative_to(ROOT)}: {address} is not a valid URL.")
    return address


def documents() -> dict[Path, str]:
    """Return the documents and their locations on the site."""
    found = {path: path.name for path in sorted((ROOT / "docs").glob("**/*.md"))}
    found |= {ROOT / name: place for name, place in ELSEWHERE.items()}
    found |= {path: f"results/{path.name}" for path in sorted(RESULTS.glob("*.md"))}
    return found


def pieces(text: str) -> list[tuple[str, bool]]:
    """Split a document into lines; return for each whether it is prose, where links are recognized."""
    found, fence = [], ""
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
            found.append((line, False))
        elif mark and mark[1] == fence:
            fence = ""
            found.append((line, False))
        else:
            found.append((line, not fence))
    return found


def links(text: str) -> list[str]:
    """Return the targets of a document's links."""
    prose = "".join(_CODE.sub("", line) if is_prose else "\n" for line, is_prose in pieces(text))
    return [found[2] or found[5] for found in _LINK.finditer(prose)]


def placed(text: str, document: Path, site: Site) -> str:
    """Return a document with its links adapted to the site, without comments for the source only."""
    return relinked(text, lambda target: site.place(target, document))


def relinked(text: str, place: Callable[[str], str]) -> str:
    """Return a document with its links replaced, without comments for the source only."""

    def put(found: re.Match[str]) -> str:
        before, target, after = (found[1], found[2], found[3]) if found[2] else (found[4], found[5], found[6])
        return f"{before}{place(target)}{after}"

    def put_all(line: str) -> str:
        kept: list[str] = []

        def hide(code: re.Match[str]) -> str:
            kept.append(code[0])
            return f"\0{len(kept) - 1}\0"

        # Restore code inside link texts. A comment inside code is text.
        shown = _LINK.sub(put, _COMMENT.sub("", _CODE.sub(hide, line)))
        return re.sub(r"\0(\d+)\0", lambda number: kept[int(number[1])], shown)

    prose: list[str] = []
    done: list[str] = []
    for line, is_prose in [*pieces(text), ("", False)]:
        if is_prose:
            prose.append(line)
        else:
            done += [put_all("".join(prose)), line]
            prose = []
    return "".join(done)


def contents(pages: set[str]) -> str:
    """Return the table of contents, which is added to the site's home page."""
    parts = []
    for chapter, names in CHAPTERS.items():
        listed = "\n".join(name for name in names if f"{name}.md" in pages)
        parts.append(f"```{{toctree}}\n:hidden:\n:caption: {chapter}\n\n{listed}\n```\n")
    return "\n" + "\n".join(parts)


def lay_out(source: Path) -> None:
    """Write the source of the site."""
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    site = Site(documents(), source)
    for name in ("_static", "_templates"):
        shutil.copytree(ROOT / "docs" / name, source / name)
    shutil.copyfile(ROOT / "docs" / "conf.py", source / "conf.py")
    library = ROOT / "labextension" / "node_modules" / "minisearch" / "dist" / "umd" / "index.js"
    shutil.copyfile(library, source / "_static" / "minisearch.js")
    for document, place in site.pages.items():
        text = placed(document.read_text("utf-8"), document, site)
        if place == "index.md":
            text += contents(set(site.pages.values()))
        elif place == "results/index.md":
            below = "\n".join(path.stem for path in sorted(RESULTS.glob("*.md")))
            text += f"\n```{{toctree}}\n:hidden:\n\n{below}\n```\n"
        elif place.removesuffix(".md") in HIDDEN:
            text = f"---\norphan: true\n---\n\n{text}"
        (source / place).parent.mkdir(parents=True, exist_ok=True)
        (source / place).write_text(text, "utf-8")


def claim(folder: Path) -> None:
    """Mark a folder as one that this script may empty, unless it contains other files."""
    mark = folder / MARK
    if folder != FOLDER and not mark.exists() and folder.exists() and any(folder.iterdir()):
        raise FolderError(
            f"{folder} contains other files, and its source/ and html/ would be deleted. "
            "Choose a new or empty folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()


def build(folder: Path) -> Path:
    """Build the site; treat warnings as errors."""
    claim(folder)
    lay_out(folder / "source")
    shutil.rmtree(folder / "html", ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-b",
        "html",
        "-W",
        "--keep-going",
        "-n",
        "-q",
        "-E",
        "-j",
        "auto",
    ]
    subprocess.run([*command, "-d", folder / "doctrees", folder / "source", folder / "html"], check=True)
    return folder / "html"


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=FOLDER)
    try:
        html = build(parser.parse_args().into.resolve())
    except (FolderError, LinkError) as error:
        sys.exit(str(error))
    except subprocess.CalledProcessError:
        sys.exit("The site has warnings; they are printed above.")
    print(f"The site is in {html}. Open {html / 'index.html'}, or serve the folder.")


if __name__ == "__main__":
    main()
