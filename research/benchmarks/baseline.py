"""Build llama.cpp's server, from the bindings' source, for comparison.

python research/benchmarks/baseline.py

The source distribution of llama-cpp-python includes llama.cpp, so both sides run the same engine code. The
program is cached by version and CPU.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from engine import NATIVE, PACKAGE, cpu_features, pip, wanted_version  # noqa: E402

PROGRAM = "llama-server"
FLAGS = (
    *NATIVE,
    f"-DCMAKE_PROJECT_llama.cpp_INCLUDE={ROOT / 'scripts' / 'compiler.cmake'}",
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_BUILD_COMMON=ON",
    "-DLLAMA_BUILD_TOOLS=ON",
    "-DLLAMA_BUILD_SERVER=ON",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
)


def folder() -> Path:
    """Return the cache folder of the program."""
    words = "|".join((wanted_version(), *(f for f in FLAGS if "_INCLUDE" not in f), cpu_features()))
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "jupyter-turbopilot" / "baseline" / hashlib.sha256(words.encode()).hexdigest()[:16]


def program() -> Path:
    """Return the program; build it if necessary."""
    kept = folder()
    if not (kept / PROGRAM).exists():
        build(kept)
    return kept / PROGRAM


def build(kept: Path) -> None:
    """Build the program from the source distribution."""
    version = wanted_version()
    print(f"Building {PROGRAM} {version}: this takes several minutes, once.", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        pip("download", "-q", "--no-deps", "--no-binary", PACKAGE, "-d", scratch, f"{PACKAGE}=={version}")
        with tarfile.open(next(Path(scratch).glob("*.tar.gz"))) as archive:
            archive.extractall(scratch, filter="data")
        source = next(Path(scratch).glob("*/vendor/llama.cpp"))
        made = Path(scratch) / "build"
        subprocess.run(["cmake", "-S", source, "-B", made, *FLAGS], check=True, stdout=subprocess.DEVNULL)  # noqa: S607
        parallel = str(os.cpu_count() or 2)
        subprocess.run(
            ["cmake", "--build", made, "-j", parallel, "--target", PROGRAM],  # noqa: S607
            check=True,
            stdout=subprocess.DEVNULL,
        )
        kept.mkdir(parents=True, exist_ok=True)
        shutil.copy2(made / "bin" / PROGRAM, kept / PROGRAM)


if __name__ == "__main__":
    print(program())
