"""Install llama-cpp-python in a trimmed build for this CPU; earlier builds are reused.

python scripts/engine.py [--only-wheel] [--portable | --prebuilt]

The wheel is cached by version, flags and CPU features: a wheel built for one CPU can crash on an older one.
`--portable` builds for any x86-64 CPU of the last ten years (AVX2, FMA, F16C), and on other architectures for
any CPU. `--only-wheel` builds and does not install. `--prebuilt` installs from llama-cpp-python's own index,
without a compiler.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "llama-cpp-python"
TRIMMED = (
    f"-DCMAKE_PROJECT_llama.cpp_INCLUDE={(ROOT / 'scripts' / 'lean.cmake').as_posix()}",
    "-DLLAVA_BUILD=OFF",
    "-DLLAMA_BUILD_TOOLS=OFF",
    "-DLLAMA_BUILD_SERVER=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
)
NATIVE = ("-DGGML_NATIVE=ON",)
ANY = ("-DGGML_NATIVE=OFF",)
INDEX = "https://abetlen.github.io/llama-cpp-python/whl/cpu"
ANY_X86 = (*ANY, "-DGGML_AVX2=ON", "-DGGML_FMA=ON", "-DGGML_F16C=ON", "-DGGML_BMI2=ON")


def wanted_version() -> str:
    """Return the version in the lock file."""
    found = re.search(rf"^{PACKAGE}==(\S+)", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE)
    if not found:
        sys.exit(f"requirements.lock does not list {PACKAGE}.")
    return found[1]


def flags_for(machine: str, *, portable: bool) -> tuple[str, ...]:
    """Return the build flags for a machine type. Pure."""
    if not portable:
        return (*TRIMMED, *NATIVE)
    return (*TRIMMED, *(ANY_X86 if machine in {"x86_64", "AMD64"} else ANY))


def cpu_features() -> str:
    """Return the features of this CPU as the system describes them."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith(("flags", "Features")):
                return " ".join(sorted(line.partition(":")[2].split()))
    except OSError:
        pass
    try:
        return subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return platform.processor()


def cache_folder(version: str, flags: tuple[str, ...], features: str) -> Path:
    """Return the cache folder of the wheel for a version, flags and CPU."""
    read = (path.read_text("utf-8") for path in sorted((ROOT / "scripts").glob("*.cmake")))
    named = (flag for flag in flags if "_INCLUDE" not in flag)
    words = "|".join((version, *named, *read, features, platform.platform()))
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "jupyter-turbopilot" / "wheels" / hashlib.sha256(words.encode()).hexdigest()[:16]


def pip(*arguments: str, **environment: str) -> None:
    """Run pip."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    if subprocess.run(command, check=False, env={**os.environ, **environment}).returncode:
        sys.exit(f"pip could not {arguments[0]} the engine, see above.")


def build(version: str, flags: tuple[str, ...], folder: Path) -> Path:
    """Build the wheel and cache it."""
    folder.mkdir(parents=True, exist_ok=True)
    # Build beside the final path: renaming is atomic, so concurrent builds do no harm.
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        # Download the source first: pip's wheel cache ignores flags and CPU.
        pip("download", "-q", "--no-deps", "--no-binary", PACKAGE, "-d", scratch, f"{PACKAGE}=={version}")
        archive = next(Path(scratch).glob("*.tar.gz"))
        pip("wheel", "-q", "--no-deps", "-w", scratch, str(archive), CMAKE_ARGS=" ".join(flags))
        wheel = next(Path(scratch).glob("*.whl"))
        return Path(shutil.move(wheel, folder / wheel.name))


def prebuilt(version: str) -> tuple[str, ...]:
    """Return pip's arguments for the wheel of llama-cpp-python's own index. Pure."""
    return ("--only-binary", PACKAGE, "--extra-index-url", INDEX, f"{PACKAGE}=={version}")


def built(version: str) -> str:
    """Return the path of the wheel for this CPU, from the cache or a new build."""
    portable = "--portable" in sys.argv
    flags = flags_for(platform.machine(), portable=portable)
    folder = cache_folder(version, flags, "" if portable else cpu_features())
    wheel = next(iter(folder.glob("*.whl")), None)
    if wheel is None:
        print(f"Building {PACKAGE} {version} for this machine: two to five minutes, once.", flush=True)
        wheel = build(version, flags, folder)
    return str(wheel)


def main() -> None:
    """Install the engine into the running Python."""
    version = wanted_version()
    wheel = prebuilt(version) if "--prebuilt" in sys.argv else (built(version),)
    if "--only-wheel" in sys.argv:
        return
    pip(
        "install",
        "-q",
        "-c",
        str(ROOT / "requirements.lock"),
        "numpy",
        "typing-extensions",
        "diskcache",
        "jinja2",
    )
    pip("install", "-q", "--no-deps", "--force-reinstall", *wheel)


if __name__ == "__main__":
    main()
