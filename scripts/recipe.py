"""Complete the conda-forge recipe for a release, and print where to submit it.

python scripts/recipe.py SDIST --maintainer NAME [--into dist/recipe.yaml]

The recipe template is recipe/recipe.yaml. Use the sdist from PyPI, because conda-forge checks its digest. A
maintainer is a user or team name on GitHub.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from pathlib import Path

import repository

RECIPE = repository.ROOT / "recipe" / "recipe.yaml"
NAMED = re.compile(r"jupyter_turbopilot-(\d[^/]*)\.tar\.gz")


def completed(recipe: str, version: str, digest: str, url: str, maintainers: list[str]) -> str:
    """Return the recipe of a release."""
    recipe = re.sub(r"\A(#.*\n)+", "", recipe)
    recipe = re.sub(r'^(  version: )"[^"]*"$', rf'\g<1>"{version}"', recipe, count=1, flags=re.MULTILINE)
    recipe = re.sub(
        r"^(  url: https://pypi\S*/source/.*\n)", rf"\g<1>  sha256: {digest}\n", recipe, flags=re.MULTILINE
    )
    named = "".join(f"    - {name}\n" for name in maintainers)
    return f"{recipe.rstrip()}\n  repository: {url}\n\nextra:\n  recipe-maintainers:\n{named}"


def version_of(sdist: Path) -> str:
    """Return the version in an sdist's file name."""
    found = NAMED.fullmatch(sdist.name)
    if not found:
        sys.exit(f"{sdist.name} is not an sdist of this package, jupyter_turbopilot-VERSION.tar.gz.")
    return found[1]


def main() -> None:
    """Write the recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sdist", type=Path)
    parser.add_argument("--maintainer", action="append", required=True)
    parser.add_argument("--into", type=Path, default=Path("dist/recipe.yaml"))
    options = parser.parse_args()
    version = version_of(options.sdist)
    url = repository.address()
    if not url:
        sys.exit("labextension/package.json has no `repository`. See docs/developers/releasing.md.")
    with options.sdist.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    text = completed(RECIPE.read_text("utf-8"), version, digest, url, options.maintainer)
    options.into.parent.mkdir(parents=True, exist_ok=True)
    options.into.write_text(text, "utf-8")
    print(f"Copy {options.into} to recipes/jupyter-turbopilot/recipe.yaml in conda-forge/staged-recipes.")


if __name__ == "__main__":
    main()
