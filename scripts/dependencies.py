"""Print the requirements of the package and of its extras, except the engine.

python scripts/dependencies.py EXTRA…        pip can install them while the engine is being compiled.
"""

from __future__ import annotations

import sys
import tomllib
from typing import Any

from engine import PACKAGE, ROOT


def without_engine(project: dict[str, Any], extras: list[str]) -> list[str]:
    """Return the requirements, except the engine. Pure."""
    more = (project["optional-dependencies"][extra] for extra in extras)
    return [one for group in (project["dependencies"], *more) for one in group if not one.startswith(PACKAGE)]


if __name__ == "__main__":
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    print("\n".join(without_engine(tomllib.loads(text)["project"], sys.argv[1:])))
