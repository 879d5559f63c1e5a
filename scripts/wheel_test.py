"""Build the wheel, install it in an empty environment, ask Jupyter whether both halves are there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def run(*command: str | Path, **environment: str) -> str:
    """Run a command; its output, both streams, is returned, and shown where it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}")
    return done.stdout


def main() -> None:
    """Run."""
    with tempfile.TemporaryDirectory() as folder:
        dist = Path(folder) / "dist"
        # By way of the sdist, as `python -m build` does: what it leaves out would be missed here.
        run(sys.executable, "-m", "build", "--outdir", dist, ".")
        (wheel,) = dist.glob("*.whl")
        names = run(sys.executable, "-m", "zipfile", "-l", wheel)
        for needed in (
            "labextensions/jupyter-turbopilot/package.json",
            "labextensions/jupyter-turbopilot/static/models.json",
            "jupyter_turbopilot/server/extension.py",
            "jupyter_turbopilot/models/tuned/qwen2.5-coder-0.5b.gguf",
            "jupyter_turbopilot.json",
        ):
            if needed not in names:
                sys.exit(f"The wheel holds no {needed}.")
        if "node_modules" in names or "/src/" in names:
            sys.exit("The wheel holds what it should not.")
        if names.count("static/models.json") > 1:
            sys.exit("The wheel holds the front end, and its model, twice.")
        home = Path(folder) / "venv"
        venv.create(home, with_pip=True)
        python = home / "bin" / "python"
        lock = ROOT / "requirements.lock"
        # Without the engine first: it being missing is a normal state.
        install = (python, "-m", "pip", "install", "-q", "-c", lock)
        run(*install, "--no-deps", wheel)
        run(*install, *without_engine(wheel))
        run(home / "bin" / "jupyter", "--version")
        server = run(home / "bin" / "jupyter", "server", "extension", "list")
        front = run(home / "bin" / "jupyter", "labextension", "list")
        for said, what in ((server, "jupyter_turbopilot"), (front, "jupyter-turbopilot")):
            if not any(what in line and "OK" in line for line in said.splitlines()):
                sys.exit(f"Jupyter does not say OK of {what}:\n{said}")
        print("The wheel installs; jupyter server extension list and jupyter labextension list say OK.")


def without_engine(wheel: Path) -> list[str]:
    """Return what the wheel requires, but for llama-cpp-python and extras."""
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
