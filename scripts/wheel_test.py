"""Build the wheels, install them in a new environment, and check that Jupyter finds extensions and commands.

python scripts/wheel_test.py [FOLDER]     FOLDER: contains the wheels and the sdist, if already built
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import repository

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = repository.ROOT
# A command of each of the other distributions.
COMMANDS = {
    "turbopilot_research": ("eval", "notebooks", "--help"),
    "turbopilot_service": ("hub-config", "--kind=helm"),
}


def run(*command: str | Path, folder: Path = ROOT, **environment: str) -> str:
    """Run a command; return its output, and print it if the command fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}")
    return done.stdout


def build(dist: Path) -> None:
    """Build the wheel from the sdist, to detect files missing there, and the other wheels."""
    run(sys.executable, "-m", "build", "--outdir", dist, ".")
    for name in repository.DISTRIBUTIONS:
        run(sys.executable, "-m", "build", "--wheel", "--outdir", dist, name)


def main() -> None:
    """Run."""
    with tempfile.TemporaryDirectory() as folder:
        dist = Path(sys.argv[1] if len(sys.argv) > 1 else folder).resolve()
        if len(sys.argv) == 1:
            build(dist)
        (wheel,) = dist.glob("jupyter_turbopilot-*.whl")
        names = run(sys.executable, "-m", "zipfile", "-l", wheel)
        for needed in (
            "labextensions/jupyter-turbopilot/package.json",
            "labextensions/jupyter-turbopilot/static/models.json",
            "labextensions/jupyter-turbopilot/static/characters.gguf",
            "jupyter_turbopilot/jupyter/extension.py",
            "jupyter_turbopilot/models/tuned/qwen2.5-coder-0.5b.gguf",
            "jupyter_turbopilot/models/tuned/qwen2.5-coder-1.5b.gguf",
            "jupyter_turbopilot.json",
        ):
            if needed not in names:
                sys.exit(f"The wheel does not contain {needed}.")
        if "node_modules" in names or "/src/" in names:
            sys.exit("The wheel contains files it must not contain.")
        if names.count("static/style.js") > 1:
            sys.exit("The wheel contains the front end twice.")
        (sdist,) = dist.glob("*.tar.gz")
        for name, held in (
            (wheel.name, names),
            (sdist.name, run(sys.executable, "-m", "tarfile", "-l", sdist)),
        ):
            if held.count("characters.gguf") != 1:
                sys.exit(f"{name} contains the browser's model {held.count('characters.gguf')} times.")
        home = Path(folder) / "venv"
        venv.create(home)
        programs = Path(sysconfig.get_path("scripts", "venv", {"base": str(home)}))
        pip = (sys.executable, "-m", "pip", "--python", programs / "python")
        # First test without the engine: that is a supported state, and compiling takes very long.
        install = (*pip, "install", "-q", "--no-compile", "-c", ROOT / "requirements.lock")
        run(*install, "--no-deps", wheel)
        run(*install, *without_engine(wheel))
        run(programs / "jupyter", "--version")
        server = run(programs / "jupyter", "server", "extension", "list")
        front = run(programs / "jupyter", "labextension", "list")
        for message, what in ((server, "jupyter_turbopilot"), (front, "jupyter-turbopilot")):
            if not any(what in line and "OK" in line for line in message.splitlines()):
                sys.exit(f"Jupyter does not report OK for {what}:\n{message}")
        try_commands(programs / "jupyter", dist, (*install, "--no-deps"))
        run(*install, "jupyterlite-core")
        site = Path(folder) / "site"
        build_site(programs / "jupyter", Path(folder) / "lite", site)
        print(
            "The wheel installs without the others, which add their commands. Jupyter reports\n"
            "OK for both extensions, and JupyterLite has the extension."
        )


def try_commands(jupyter: Path, dist: Path, install: Sequence[str | Path]) -> None:
    """Check that the commands of other wheels name the missing package, and run after its installation."""
    run(jupyter, "turbopilot", "models", "list")
    for name, words in COMMANDS.items():
        command = [str(jupyter), "turbopilot", *words]
        missing = subprocess.run(command, capture_output=True, text=True, check=False)
        if missing.returncode != 1 or "pip install" not in missing.stderr:
            sys.exit(f"Without {name}, `{words[0]}` does not name it:\n{missing.stdout}{missing.stderr}")
        (wheel,) = dist.glob(f"{name}-*.whl")
        run(*install, wheel)
        run(*command)


def build_site(jupyter: Path, sources: Path, site: Path) -> None:
    """Build a JupyterLite site without configuration, and check for the extension and its model list."""
    sources.mkdir()
    run(jupyter, "lite", "build", "--output-dir", site, folder=sources)
    config = json.loads((site / "jupyter-lite.json").read_text("utf-8"))["jupyter-config-data"]
    names = [extension["name"] for extension in config["federated_extensions"]]
    if "jupyter-turbopilot" not in names:
        sys.exit(f"The JupyterLite site lacks the extension: it has only {names}.")
    if not (site / "extensions" / "jupyter-turbopilot" / "static" / "models.json").is_file():
        sys.exit("The JupyterLite site lacks the list of models.")


def without_engine(wheel: Path) -> list[str]:
    """Return the wheel's requirements without llama-cpp-python and extras."""
    code = (
        "import sys, zipfile, email.parser\n"
        "z = zipfile.ZipFile(sys.argv[1])\n"
        "n = next(n for n in z.namelist() if n.endswith('.dist-info/METADATA'))\n"
        "m = email.parser.Parser().parsestr(z.read(n).decode())\n"
        "print('\\n'.join(r for r in m.get_all('Requires-Dist') if 'extra ==' not in r))\n"
    )
    return [line for line in run(sys.executable, "-c", code, wheel).splitlines() if "llama" not in line]


if __name__ == "__main__":
    main()
