"""Imports llama_cpp, which no other module does, and describes how it is or has to be installed."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.engine.load.machine import lacks
from jupyter_turbopilot.models.ggml import TYPES
from jupyter_turbopilot.protocol.errors import EngineError, EngineMissingError
from jupyter_turbopilot.util.failures import DAMAGED

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

SPINS = "30000"  # under a millisecond; the default is several. With 5000, prompts take 10 % longer
# The function that returns whether the library was built for an instruction set, and its name in Linux.
_INSTRUCTIONS = {
    "ggml_cpu_has_avx": "avx",
    "ggml_cpu_has_avx2": "avx2",
    "ggml_cpu_has_avx512": "avx512f",
    "ggml_cpu_has_avx512_bf16": "avx512_bf16",
    "ggml_cpu_has_avx512_vbmi": "avx512vbmi",
    "ggml_cpu_has_avx512_vnni": "avx512_vnni",
    "ggml_cpu_has_avx_vnni": "avx_vnni",
    "ggml_cpu_has_bmi2": "bmi2",
    "ggml_cpu_has_f16c": "f16c",
    "ggml_cpu_has_fma": "fma",
}
_no_device = ctypes.c_void_p()
NO_DEVICES = ctypes.addressof(_no_device)  # an empty list for a model's parameters
_GPU_TYPES = {1, 2}  # GGML_BACKEND_DEVICE_TYPE_GPU and _IGPU
_METAL_SHARED = re.compile(r"MTL\d+")  # buffers of a Metal device; MTL0_Private in dedicated memory
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
_callbacks: list[Any] = []  # keeps the log callback alive for as long as llama.cpp may call it


def install_command() -> str:
    """Return the command that installs the engine: prebuilt where there is a wheel, otherwise from source."""
    index = _PREBUILT.get((platform.system(), platform.machine()))
    if index is None or lacks("avx2"):
        return f"python -m pip install {REQUIREMENT}"
    wheels = f"--only-binary llama-cpp-python --extra-index-url {_WHEELS}/{index}"
    return f"python -m pip install {REQUIREMENT} {wheels}"


def build_command() -> str:
    """Return the command that builds the engine for this processor, in place of the installed one."""
    return f"python -m pip install --force-reinstall --no-deps --no-cache-dir {SOURCE} {REQUIREMENT}"


def bindings() -> types.ModuleType:
    """Import llama_cpp and disable its log; raise NotReadyError if it is missing or broken."""
    try:
        with _short_spinning():
            import llama_cpp
    except ModuleNotFoundError as error:
        if error.name != "llama_cpp":
            raise EngineMissingError(f"Engine broken: {error}.", install_command()) from None
        raise EngineMissingError("The engine llama.cpp is not installed.", install_command()) from None
    except DAMAGED as error:
        broken = EngineMissingError(
            f"Engine broken ({type(error).__name__}).", f"{install_command()} --force-reinstall --no-deps"
        )
        broken.hint = str(error)
        raise broken from None
    if not _callbacks:
        folder = Path(str(llama_cpp.__file__)).with_name("lib")
        has_variants = any(folder.glob("*ggml-cpu-*"))
        if not has_variants:
            _check_processor(folder)
        callback = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)
        _callbacks.append(callback)
        llama_cpp.llama_log_set(callback, ctypes.c_void_p(0))
        if has_variants:
            _load_variant(folder)
        llama_cpp.llama_backend_init()
    module: types.ModuleType = llama_cpp
    return module


def _check_processor(folder: Path) -> None:
    """Refuse an engine built for another processor: its initialisation would end this process."""
    library = _library(folder, "ggml-cpu.dll")
    built_for = (name for function, name in _INSTRUCTIONS.items() if getattr(library, function, int)())
    missing = [*filter(lacks, built_for)]
    if missing:
        raise EngineMissingError(
            "The engine was built for another processor. Build it for this one, then restart the server. "
            f"This one lacks {', '.join(missing)}.",
            build_command(),
        )


def _library(folder: Path, name: str) -> Any:
    """Return the library to find a function in: in Windows, only the one that defines it."""
    from llama_cpp import llama_cpp

    own = folder / name
    return ctypes.CDLL(str(own)) if own.exists() else llama_cpp._lib  # noqa: SLF001


def quantise(kind: int, importance: Any, rows: Any) -> bytes:
    """Quantise rows of finite float32; importance: of each column, or None. Other threads may run."""
    folder = Path(str(bindings().__file__)).with_name("lib")
    chunk = getattr(_library(folder, "ggml-base.dll"), "ggml_quantize_chunk", None)
    if chunk is None:
        raise EngineError("This version of llama-cpp-python cannot quantise.")
    if chunk.argtypes is None:  # another thread may be calling it
        chunk.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p]
        chunk.restype = ctypes.c_size_t
    count, width = rows.shape
    packed = ctypes.create_string_buffer(TYPES[kind].size(rows.size))
    weight = importance if importance is None else importance.ctypes.data
    chunk(kind, rows.ctypes.data, packed, 0, count, width, weight)
    return packed.raw


def _load_variant(folder: Path) -> None:
    """Load the CPU backend for this processor from a build with GGML_CPU_ALL_VARIANTS."""
    from llama_cpp import _ggml, llama_cpp  # noqa: PLC2701

    # A wheel contains copies instead of links: libggml.so is not the library that libllama uses, so loading
    # variants into it has no effect. Windows has one ggml.dll, and finds its functions only there.
    library = _ggml.libggml if os.name == "nt" else llama_cpp._lib  # noqa: SLF001
    load = library.ggml_backend_load_all_from_path
    load.argtypes, load.restype = [ctypes.c_char_p], None
    load(os.fsencode(folder))


def log_to_stderr() -> None:
    """Enable llama.cpp's log on standard error. The child process of a load test does that for its parent."""
    lib = bindings()
    lib.llama_log_set(lib.llama_log_callback(), ctypes.c_void_p(0))


@contextmanager
def _short_spinning() -> Iterator[None]:
    """Load GNU OpenMP with a short spin time, so that its threads release the cores soon after each token.

    The event loop needs a core to send the answer. OpenMP reads the variable once, when it is loaded. It is
    removed afterwards, because kernels would inherit it.
    """
    name = "GOMP_SPINCOUNT"
    if "llama_cpp" in sys.modules or name in os.environ or "OMP_WAIT_POLICY" in os.environ:
        yield
        return
    os.environ[name] = SPINS
    try:
        yield
    finally:
        os.environ.pop(name, None)


def version() -> str:
    return str(bindings().__version__)


def installation() -> str:
    """Return a string that identifies this installation, even among those of the same version."""
    return f"{version()}|{Path(str(bindings().__file__)).stat().st_mtime_ns}"


def instruction_sets() -> str:
    """Return the CPU instructions and other features that the native library uses."""
    text: bytes = bindings().llama_print_system_info()
    return text.decode().strip(" |")


class Gpu(NamedTuple):
    """A GPU that llama.cpp can use."""

    name: str
    shares_memory: bool = False  # with the processor, and llama.cpp was built with Metal


@cache  # GPUs are found when the library is loaded
def gpus() -> list[Gpu]:
    """Return the GPUs that the native library was built for and finds."""
    folder = Path(str(bindings().__file__)).with_name("lib")
    registry, base = _library(folder, "ggml.dll"), _library(folder, "ggml-base.dll")
    registry.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    registry.ggml_backend_dev_get.restype = base.ggml_backend_dev_buffer_type.restype = ctypes.c_void_p
    base.ggml_backend_dev_description.restype = base.ggml_backend_buft_name.restype = ctypes.c_char_p
    devices = map(registry.ggml_backend_dev_get, range(registry.ggml_backend_dev_count()))
    found = []
    for device in map(ctypes.c_void_p, devices):
        if base.ggml_backend_dev_type(device) in _GPU_TYPES:
            buffers = ctypes.c_void_p(base.ggml_backend_dev_buffer_type(device))
            shares = _METAL_SHARED.fullmatch(base.ggml_backend_buft_name(buffers).decode())
            found.append(Gpu(base.ggml_backend_dev_description(device).decode(), bool(shares)))
    return found
