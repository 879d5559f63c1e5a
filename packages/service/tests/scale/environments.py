"""Create the environments for Ray and vllm-router: python packages/service/tests/scale/environments.py FOLDER.

The version of Ray is pinned in packages/service/pyproject.toml.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import floors  # in scripts/

PACKAGE = Path(__file__).resolve().parents[2]
ROUTER = "vllm-router==0.1.17"


def pinned() -> str:
    """Return the requirement of the extra `ray`."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text("utf-8"))["project"]
    (requirement,) = project["optional-dependencies"]["ray"]
    return str(requirement)


def main() -> None:
    """Create both environments."""
    folder = Path(sys.argv[1]).resolve()
    floors.make(folder / "ray", pinned())
    floors.make(folder / "router", ROUTER)


if __name__ == "__main__":
    main()
