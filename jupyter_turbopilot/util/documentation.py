"""Addresses of the documentation's pages in texts that the program prints.

Texts name a page by its title, as in "see the Engines page of the documentation", because `docs/` is not
installed, and the package has no address before its first release.
"""

from __future__ import annotations

import re

# Help texts are wrapped, so there may be line breaks between the words.
PAGE = re.compile(r"the\s+([A-Z]\w+(?:\s+[a-z]+)?)\s+page\s+of\s+the\s+documentation")


def file_of(title: str) -> str:
    """Return the name of a page's file in docs/."""
    return f"{'-'.join(title.lower().split())}.md"


def with_addresses(text: str) -> str:
    """Replace the titles of pages by their addresses, if the package's metadata names its repository."""
    folder = _folder() if PAGE.search(text) else ""
    return PAGE.sub(lambda found: folder + file_of(found[1]), text) if folder else text


def _folder() -> str:
    """Return the address of this version's docs/, or an empty string."""
    from importlib.metadata import PackageNotFoundError, metadata  # slow, so it is imported only here

    try:
        about = metadata("jupyter-turbopilot")
    except PackageNotFoundError:  # run from its sources
        return ""
    if ".dev" in about["Version"] or "+" in about["Version"]:  # only releases have a tag
        return ""
    urls = dict(line.split(", ", 1) for line in about.get_all("Project-URL") or ())
    repository = urls.get("Repository", "").removeprefix("git+").removesuffix(".git")
    return f"{repository}/blob/v{about['Version']}/docs/" if repository else ""
