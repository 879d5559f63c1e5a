"""Create an environment with the oldest supported JupyterLab and Notebook: python scripts/floors.py FOLDER.

pyproject.toml names the versions. Other packages, such as the engine, are those of this environment.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import scale_env
from scale_env import ROOT

EXTENSION = "jupyter-turbopilot"


def oldest(project: dict[str, dict[str, list[str]]]) -> list[str]:
    """Return the requirements of JupyterLab and Notebook at their oldest supported versions. Pure."""
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    found = [re.match(r"(jupyterlab|notebook)>=([\d.]+)", one) for one in wanted]
    return [f"{one[1]}=={one[2]}" for one in found if one]


def main() -> None:
    """Create the environment, and check that JupyterLab accepts the extension."""
    folder = Path(sys.argv[1]).resolve()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    scale_env.make(folder, *oldest(project))
    config = folder / "etc" / "jupyter" / "jupyter_server_config.d"
    shutil.copytree(ROOT / "jupyter-config" / "server-config", config, dirs_exist_ok=True)
    front = folder / "share" / "jupyter" / "labextensions" / EXTENSION
    front.unlink(missing_ok=True)
    front.symlink_to(ROOT / "jupyter_turbopilot" / "labextension")
    command: list[str | Path] = [folder / "bin" / "jupyter", "labextension", "list"]
    message = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    ).stdout
    if not any(EXTENSION in line and "OK" in line for line in message.splitlines()):
        sys.exit(f"The oldest supported JupyterLab refuses the extension:\n{message}")


if __name__ == "__main__":
    main()
