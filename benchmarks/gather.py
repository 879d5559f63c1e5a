"""Extract notebooks from the source distributions of pinned packages; none are kept in this repository.

python benchmarks/gather.py FOLDER [PACKAGE==VERSION ...]
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from engine import pip  # noqa: E402

PACKAGES = ("holoviews==1.20.2", "hvplot==0.11.3", "sktime==0.36.0")


def main() -> None:
    """Download, extract the notebooks, and name them by package and path."""
    if len(sys.argv) < 2:  # noqa: PLR2004
        sys.exit(__doc__)
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for package in sys.argv[2:] or PACKAGES:
        with tempfile.TemporaryDirectory() as scratch:
            name = package.partition("==")[0]
            pip("download", "-q", "--no-deps", "--no-binary", name, "-d", scratch, package)
            archive = next(path for path in Path(scratch).iterdir() if path.is_file())
            count = 0
            for path, data in members(archive):
                if path.endswith(".ipynb") and ".ipynb_checkpoints" not in path:
                    flat = "__".join(Path(path).parts[1:])
                    (target / f"{name}__{flat}").write_bytes(data)
                    count += 1
            print(f"{package}: {count} notebooks", flush=True)


def members(archive: Path) -> list[tuple[str, bytes]]:
    """Read the notebooks of a source distribution."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as opened:
            return [(name, opened.read(name)) for name in opened.namelist()]
    with tarfile.open(archive) as tar:
        return [(m.name, f.read()) for m in tar.getmembers() if m.isfile() and (f := tar.extractfile(m))]


if __name__ == "__main__":
    main()
