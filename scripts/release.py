"""Check, build and test a release in dist/. Nothing is published.

python scripts/release.py VERSION [--tagged]

`--tagged` is for the publishing workflow: the commit is tagged already, and the package is not tested here,
because another job does so: packages installed for the tests must not be able to change what is published.
docs/developers/releasing.md describes the steps before and after.
"""

from __future__ import annotations

import argparse
import email
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import build_site
import repository

if TYPE_CHECKING:
    from pathlib import Path

ROOT = repository.ROOT
DIST = ROOT / "dist"
VERSION = re.compile(r"(\d+\.\d+\.\d+)(?:rc(\d+))?")


@dataclass(frozen=True)
class Sources:
    """The files that must agree about a release."""

    others: dict[str, str]  # pyproject.toml of the other distributions, by folder
    package: str  # labextension/package.json
    lock: str  # labextension/package-lock.json
    recipe: str
    changelog: str


def read(root: Path = ROOT) -> Sources:
    """Read the files."""
    front = root / "labextension"
    paths = (
        front / "package.json",
        front / "package-lock.json",
        root / "recipe" / "recipe.yaml",
        root / "CHANGELOG.md",
    )
    others = {name: (root / name / "pyproject.toml").read_text("utf-8") for name in repository.DISTRIBUTIONS}
    return Sources(others, *(path.read_text("utf-8") for path in paths))


def in_node(version: str) -> str:
    """Return a version in npm's format: Python's 1.2.3rc1 becomes 1.2.3-rc.1."""
    found = VERSION.fullmatch(version)
    if not found:
        sys.exit(f"{version} is not a valid version. Use 1.2.3, or 1.2.3rc1 for a candidate.")
    return f"{found[1]}-rc.{found[2]}" if found[2] else found[1]


def problems(version: str, sources: Sources) -> list[str]:
    """Return the inconsistencies of the sources. Pure."""
    found = []
    wanted = in_node(version)
    lock = json.loads(sources.lock)
    recipe = re.search(r'^  version: "([^"]*)"$', sources.recipe, re.MULTILINE)
    others = {name: tomllib.loads(text)["project"] for name, text in sources.others.items()}
    for name, message, right in (
        ("labextension/package.json", json.loads(sources.package)["version"], wanted),
        ("labextension/package-lock.json", lock["version"], wanted),
        ('labextension/package-lock.json, packages, ""', lock["packages"][""]["version"], wanted),
        ("recipe/recipe.yaml", recipe[1] if recipe else "none", version),
        *((f"{name}/pyproject.toml", each["version"], version) for name, each in others.items()),
        *(
            (f"the requirement of {name}", each["dependencies"][0], f"jupyter-turbopilot=={version}")
            for name, each in others.items()
        ),
    ):
        if message != right:
            found.append(f"{name} has the version {message}, not {right}.")
    headings = re.findall(r"^## .*$", sources.changelog, re.MULTILINE)
    if not headings or not re.fullmatch(rf"## {re.escape(version)}, \d{{4}}-\d\d-\d\d", headings[0]):
        first = headings[0] if headings else "nothing"
        found.append(f"CHANGELOG.md starts with “{first}”, not with “## {version}, YEAR-MONTH-DAY”.")
    elif not notes(version, sources.changelog):
        found.append(f"CHANGELOG.md has no entries for {version}.")
    return found


def notes(version: str, changelog: str) -> str:
    """Return the changelog entries of a version. Pure."""
    _, _, after = changelog.partition(f"\n## {version}, ")
    return re.split(r"^## ", after.partition("\n")[2], maxsplit=1, flags=re.MULTILINE)[0].strip()


def state(version: str, *, tagged: bool) -> list[str]:
    """Return the problems of the Git repository's state."""
    found = []
    if changed := message("git", "status", "--porcelain"):
        found.append(f"These files are not committed:\n{changed}")
    there = message("git", "tag", "--list", f"v{version}")
    here = message("git", "tag", "--points-at", "HEAD", "--list", f"v{version}")
    if tagged and not here:
        found.append(f"This commit has no tag v{version}.")
    if there and not tagged:
        found.append(f"The tag v{version} exists already. Choose the next version.")
    if not repository.address():
        found.append(
            "labextension/package.json has no `repository`, which PyPI, conda-forge and Binder need."
        )
    return found


def message(*command: str) -> str:
    """Return a command's output."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def run(*command: str | Path, folder: Path = ROOT) -> None:
    """Run a command and show its output."""
    print("$", *command, flush=True)
    if subprocess.run(command, cwd=folder, check=False).returncode:
        sys.exit("The command failed. Nothing was published.")


def build() -> None:
    """Build the front end, the sdist, the wheel from the sdist, and the other wheels."""
    shutil.rmtree(DIST, ignore_errors=True)
    # The builder empties its folder, so nothing of an earlier front end remains.
    npm = shutil.which("npm") or sys.exit("npm is not installed.")
    run(npm, "run", "--silent", "build", folder=ROOT / "labextension")
    run(sys.executable, "-m", "build", "--outdir", DIST, ".")
    for name in repository.DISTRIBUTIONS:
        run(sys.executable, "-m", "build", "--wheel", "--outdir", DIST, name)


def lost(wheel: Path) -> list[str]:
    """Return the links of PyPI's page that are broken there: those to files of the repository."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        page = email.message_from_bytes(archive.read(name)).get_payload(decode=True)
    return [link for link in build_site.links(page.decode()) if repository.relative(link)]  # type: ignore[union-attr]


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("version")
    parser.add_argument("--tagged", action="store_true")
    options = parser.parse_args()
    version, sources = options.version, read()
    if found := [*problems(version, sources), *state(version, tagged=options.tagged)]:
        sys.exit("\n".join(f"- {one}" for one in found))
    build()
    archives = sorted(path for path in DIST.iterdir() if f"-{version}" in path.name)
    wheels = 1 + len(repository.DISTRIBUTIONS)
    if sorted(path.suffix for path in archives) != [".gz", *[".whl"] * wheels]:
        names = [path.name for path in archives]
        sys.exit(f"dist/ contains {names}, not {wheels} wheels and an sdist of {version}.")
    if found := [link for path in archives if path.suffix == ".whl" for link in lost(path)]:
        sys.exit(f"These links of the README files would be broken on PyPI: {', '.join(found)}.")
    if not options.tagged:
        run(sys.executable, "-m", "twine", "check", "--strict", *archives)
        run(sys.executable, ROOT / "scripts" / "wheel_test.py", DIST)
    (DIST / "notes.md").write_text(
        repository.page(notes(version, sources.changelog), repository.address(), version) + "\n", "utf-8"
    )
    for path in archives:
        print(hashlib.sha256(path.read_bytes()).hexdigest(), path.relative_to(ROOT))
    if not options.tagged:
        print(
            f"Ready. To publish, push the commit, then its tag:\n    git tag -a v{version} -m v{version}\n"
            f"    git push origin v{version}"
        )


if __name__ == "__main__":
    main()
