"""Create the environments for Ray and vllm-router: python scripts/scale_env.py FOLDER.

The version of Ray is pinned in pyproject.toml. A .pth file makes the project and its dependencies available,
because building the engine takes minutes.
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


def make(folder: Path, *requirements: str) -> None:
    """Create an environment with requirements and the project, unless it exists."""
    done = folder / "made-of"
    if done.is_file() and done.read_text("utf-8") == "\n".join(requirements):
        return
    print(f"Making {folder} with {' and '.join(requirements)}…", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    pip: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "-q", *requirements], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    seen = (ROOT, sysconfig.get_paths()["purelib"])  # packages of the new environment come first
    (folder / "lib" / version / "site-packages" / "project.pth").write_text("\n".join(map(str, seen)) + "\n")
    done.write_text("\n".join(requirements), "utf-8")


def main() -> None:
    """Create both environments."""
    folder = Path(sys.argv[1]).resolve()
    make(folder / "ray", pinned())
    make(folder / "router", ROUTER)


if __name__ == "__main__":
    main()
