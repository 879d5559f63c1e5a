"""Make the environments in which Ray and vllm-router run: python scripts/scale_env.py FOLDER.

Ray is the version that pyproject.toml pins. The project and what it needs are seen through a .pth file: its
engine takes minutes to build, and one build is enough.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUTER = "vllm-router==0.1.17"


def pinned() -> str:
    """Return the requirement of the extra `ray`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (requirement,) = project["optional-dependencies"]["ray"]
    return str(requirement)


def make(folder: Path, requirement: str) -> None:
    """Make an environment that has a requirement, and sees the project; one that has it stays."""
    done = folder / "made-of"
    if done.is_file() and done.read_text("utf-8") == requirement:
        return
    print(f"Making {folder} with {requirement}…", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    subprocess.run(
        [folder / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", requirement],
        check=True,
    )
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    seen = (ROOT, sysconfig.get_paths()["purelib"])  # what is installed here itself comes first
    (folder / "lib" / version / "site-packages" / "project.pth").write_text("\n".join(map(str, seen)) + "\n")
    done.write_text(requirement, "utf-8")


def main() -> None:
    """Make both."""
    folder = Path(sys.argv[1]).resolve()
    make(folder / "ray", pinned())
    make(folder / "router", ROUTER)


if __name__ == "__main__":
    main()
