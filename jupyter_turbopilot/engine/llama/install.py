"""The command that installs the engine on this platform."""

from __future__ import annotations

import platform

from jupyter_turbopilot.engine.load.machine import lacks

REQUIREMENT = '"llama-cpp-python>=0.3.36"'
SOURCE = "--no-binary llama-cpp-python"
# PyPI has only the source. These are the indexes of prebuilt wheels; for x86-64, the wheels need AVX2.
_WHEELS = "https://abetlen.github.io/llama-cpp-python/whl"
_PREBUILT = {
    ("Darwin", "arm64"): "metal",
    ("Linux", "aarch64"): "cpu",
    ("Linux", "x86_64"): "cpu",
    ("Windows", "AMD64"): "cpu",
}


def install_command() -> str:
    """Return the command that installs the engine: prebuilt where there is a wheel, otherwise from source."""
    index = _PREBUILT.get((platform.system(), platform.machine()))
    if index is None or lacks("avx2"):
        return f"python -m pip install {REQUIREMENT}"
    wheels = f"--only-binary llama-cpp-python --extra-index-url {_WHEELS}/{index}"
    return f"python -m pip install {REQUIREMENT} {wheels}"


def reinstall_command() -> str:
    """Return the command that installs the engine again, from the same source."""
    return f"{install_command()} --force-reinstall --no-deps"


def build_command() -> str:
    """Return the command that builds the engine for this processor, in place of the installed one."""
    return f"python -m pip install --force-reinstall --no-deps --no-cache-dir {SOURCE} {REQUIREMENT}"
