"""Extract notebooks from the source distributions of pinned packages; none are kept in this repository.

python research/benchmarks/gather.py FOLDER [PACKAGE==VERSION ...]
python research/benchmarks/gather.py SET.json.gz --versions

With `--versions`, the set has the notebooks that two versions of a package have in common, with the
sources of each cell in both, for `versions.py`. A cell whose counterpart is less than half alike is new or
deleted. Archives in the current folder are not downloaded again.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import tarfile
import urllib.request
import zipfile
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from jupyter_turbopilot.models.sources import pip_settings
from jupyter_turbopilot.util.notebook_file import parse_notebook

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.util.notebook_file import NotebookCell

PACKAGES = ("holoviews==1.23.2", "hvplot==0.12.2", "sktime==1.2.0")
VERSIONS = {
    "statsmodels": ("0.11.1", "0.14.5"), "linearmodels": ("4.14", "7.1"), "arch": ("5.3.1", "8.0.0"),
    "iminuit": ("1.5.4", "2.25.2"), "geoviews": ("1.7.0", "1.15.0"),
    "chempy": ("0.7.12", "0.10.2"), "graph-notebook": ("2.0.12.post1", "4.4.0"),
    "alibi-detect": ("0.5.1", "0.9.0"), "alibi": ("0.5.5", "0.6.4"), "bambi": ("0.14.0", "0.21.0"),
}  # fmt: skip
ALIKE = 0.5
LEFT_OUT = ("trimesh_uk", "vectorfield_example")  # also in the notebooks that the project was developed with


def main() -> None:
    """Download, extract the notebooks, and name them by package and path."""
    if len(sys.argv) < 2:  # noqa: PLR2004
        sys.exit(__doc__)
    target = Path(sys.argv[1])
    if sys.argv[2:] == ["--versions"]:
        made = [each for name, versions in VERSIONS.items() for each in common(name, *versions)]
        made = [*{json.dumps(each["cells"]): each for each in made}.values()]  # some are copies
        target.write_bytes(gzip.compress(json.dumps(made).encode(), mtime=0))
        return
    target.mkdir(parents=True, exist_ok=True)
    for package in sys.argv[2:] or PACKAGES:
        name, _, version = package.partition("==")
        found = notebooks(name, version)
        for path, data in found.items():
            (target / f"{name}__{path}").write_bytes(data)
        print(f"{package}: {len(found)} notebooks", flush=True)


def notebooks(package: str, version: str) -> dict[str, bytes]:
    """Return the notebooks of a source distribution by their paths."""
    return {
        "__".join(Path(path).parts[1:]): data
        for path, data in members(archive(package, version))
        if path.endswith(".ipynb") and not any(each in path for each in (".ipynb_checkpoints", *LEFT_OUT))
    }


def archive(package: str, version: str) -> Path:
    """Return a source distribution; download it if it is not in the current folder.

    `pip download` would also build old packages to read their metadata, which fails.
    """
    address = f"{pip_settings().get('index-url', 'https://pypi.org/simple').rstrip('/')}/{package}/"
    accepted = {"Accept": "application/vnd.pypi.simple.v1+json"}
    with urllib.request.urlopen(urllib.request.Request(address, headers=accepted)) as page:
        files = {each["filename"].lower().replace("_", "-"): each for each in json.load(page)["files"]}
    ends = (f"{package}-{version}{suffix}" for suffix in (".tar.gz", ".zip"))
    file = next(files[name] for name in ends if name in files)
    target = Path(file["filename"])
    if not target.exists():
        with urllib.request.urlopen(urljoin(address, file["url"])) as answer:
            data = answer.read()
        if hashlib.sha256(data).hexdigest() != file["hashes"]["sha256"]:
            sys.exit(f"{target} is damaged: its digest differs from the index's.")
        target.write_bytes(data)
    return target


def members(archive: Path) -> list[tuple[str, bytes]]:
    """Read the files of a source distribution."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            return [(name, opened.read(name)) for name in opened.namelist()]
    with tarfile.open(archive) as tar:
        return [(m.name, f.read()) for m in tar.getmembers() if m.isfile() and (f := tar.extractfile(m))]


def common(package: str, before: str, after: str) -> Iterator[dict[str, Any]]:
    """Yield the notebooks that two versions have in common and that differ; they may have been moved."""
    old, new = notebooks(package, before), notebooks(package, after)
    by_name = {path.rpartition("__")[2]: path for path in new}
    count = 0
    for path, data in sorted(old.items()):
        other = path if path in new else by_name.get(path.rpartition("__")[2], "")
        pair = [parse_notebook(each.decode(), path) for each in (data, new.get(other)) if each]
        if len(pair) > 1 and pair[0] and pair[1]:
            cells = [*matched(pair[0].cells, pair[1].cells)]
            if any(new_source not in {None, source} for _, source, new_source in cells):
                yield {"name": f"{package}__{path}", "cells": cells}
                count += 1
    print(f"{package} {before} and {after}: {count} notebooks", flush=True)


def matched(
    old: Sequence[NotebookCell], new: Sequence[NotebookCell]
) -> Iterator[tuple[str, str, str | None]]:
    """Yield type, source and new source of each cell of the old version; None: it has been deleted."""
    keys = [[(each.type, each.source) for each in cells] for cells in (old, new)]
    for _, a, b, c, d in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        at = c
        for cell in old[a:b]:
            ratios = [(alike(cell, each), -other) for other, each in enumerate(new[at:d], at)]
            ratio, other = max(ratios, default=(0.0, 0))
            yield cell.type, cell.source, new[-other].source if ratio >= ALIKE else None
            at = 1 - other if ratio >= ALIKE else at


def alike(one: NotebookCell, other: NotebookCell) -> float:
    """Return how alike two cells are, from 0 to 1."""
    if one.type != other.type:
        return 0.0
    matcher = SequenceMatcher(None, one.source, other.source, autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() >= ALIKE else 0.0


if __name__ == "__main__":
    main()
