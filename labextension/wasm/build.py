"""Compile the engine for the browser: `python labextension/wasm/build.py` writes `engine.wasm` and its digest.

The binary lies in the repository, because an installation from source has npm alone; a test compares both.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

COMPILER = "0.17.1"  # of the wheel `ziglang`: another one writes another binary
HERE = Path(__file__).resolve().parent
OPTIONS = [
    "-target",
    "wasm32-freestanding",
    # Named one by one: what every browser with SIMD has, whatever the compiler's default becomes.
    "-mcpu=mvp+simd128+bulk_memory+nontrapping_fptoint+sign_ext",
    "-std=c17",
    "-O3",
    "-fno-sanitize=all",
    "-fvisibility=hidden",
    "-nostdlib",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wl,--no-entry",
    "-Wl,--export-dynamic",
    "-Wl,--strip-all",
    "-Wl,-z,stack-size=65536",
]


def build(target: Path) -> None:
    """Write the compiled engine."""
    if version("ziglang") != COMPILER:
        raise SystemExit(f"Install the compiler: pip install ziglang=={COMPILER}")
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "ziglang", "cc", *OPTIONS, "-o", str(target.resolve()), "llama.c"]
        places = {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
        subprocess.run(command, cwd=HERE, env=os.environ | places, check=True)


if __name__ == "__main__":
    binary = HERE / "engine.wasm"
    build(binary)
    binary.chmod(0o644)
    digest = hashlib.sha256(binary.read_bytes()).hexdigest()
    binary.with_suffix(".wasm.sha256").write_text(f"{digest}  {binary.name}\n")
