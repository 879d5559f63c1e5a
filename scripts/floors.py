"""Create an environment with the oldest supported JupyterLab and Notebook: python scripts/floors.py FOLDER.

pyproject.toml names the versions. Other packages, such as the engine, are those of this environment.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXTENSION = "jupyter-turbopilot"


def oldest(project: dict[str, dict[str, list[str]]]) -> list[str]:
    """Return the requirements of JupyterLab and Notebook at their oldest supported versions. Pure."""
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    found = [re.match(r"(jupyterlab|notebook)>=([\d.]+)", one) for one in wanted]
    return [f"{one[1]}=={one[2]}" for one in found if one]


def make(folder: Path, *requirements: str) -> None:
    """Create an environment with requirements and the project, unless it exists.

    A .pth file makes the project and its dependencies available, because building the engine takes minutes.
    """
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
    """Create the environment, and check that JupyterLab accepts the extension."""
    folder = Path(sys.argv[1]).resolve()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    make(folder, *oldest(project))
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
