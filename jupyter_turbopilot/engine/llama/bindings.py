"""Imports llama_cpp and describes the installed version. No other module imports it."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.errors import NotReadyError

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

INSTALL = "python -m pip install llama-cpp-python"
SPINS = "30000"  # under a millisecond; the default is several. With 5000, prompts take 10 % longer
_callbacks: list[Any] = []  # keeps the log callback alive for as long as llama.cpp may call it


def bindings() -> types.ModuleType:
    """Import llama_cpp and disable its log; raise NotReadyError if it is missing or broken."""
    try:
        with _short_spinning():
            import llama_cpp
    except ModuleNotFoundError as error:
        if error.name != "llama_cpp":
            raise NotReadyError(f"Engine broken: {error}. Run: {INSTALL}", code="engine_missing") from None
        raise NotReadyError(f"Engine missing. Run: {INSTALL}", code="engine_missing") from None
    except Exception as error:  # noqa: BLE001 - a broken native library may raise anything
        broken = NotReadyError(
            f"Engine broken ({type(error).__name__}). Run: {INSTALL} --force-reinstall", code="engine_missing"
        )
        broken.hint = str(error)
        raise broken from None
    if not _callbacks:
        callback = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)
        _callbacks.append(callback)
        llama_cpp.llama_log_set(callback, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
    module: types.ModuleType = llama_cpp
    return module


def log_to_stderr(*, on: bool = True) -> None:
    """Enable or disable llama.cpp's log on standard error. A child process enables it for its parent."""
    lib = bindings()
    lib.llama_log_set(lib.llama_log_callback() if on else _callbacks[0], ctypes.c_void_p(0))


@contextmanager
def _short_spinning() -> Iterator[None]:
    """Load GNU OpenMP with a short spin time, so that its threads release the cores soon after each token.

    The event loop needs a core to send the answer. OpenMP reads the variable once, when it is loaded. It is
    removed afterwards, because kernels would inherit it.
    """
    name = "GOMP_SPINCOUNT"
    if name in os.environ or "OMP_WAIT_POLICY" in os.environ:
        yield
        return
    os.environ[name] = SPINS
    try:
        yield
    finally:
        os.environ.pop(name, None)


def version() -> str:
    """Return the version of the bindings."""
    return str(bindings().__version__)


def installation() -> str:
    """Return a string that identifies this installation, even among those of the same version."""
    return f"{version()}|{Path(str(bindings().__file__)).stat().st_mtime_ns}"


def instruction_sets() -> str:
    """Return the CPU instructions and other features that the native library uses."""
    text: bytes = bindings().llama_print_system_info()
    return text.decode().strip(" |")


def supports_gpu() -> bool:
    """Return whether the native library was built for a GPU and finds one."""
    return bool(bindings().llama_supports_gpu_offload())
