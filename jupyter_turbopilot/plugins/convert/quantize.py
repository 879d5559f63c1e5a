"""Quantises a file in a child process, so that it can be stopped and a crash does not end the caller."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.protocol.errors import ConversionError, TurbopilotError
from jupyter_turbopilot.util.failures import on_failure
from jupyter_turbopilot.util.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.models.quantization import Order

_ERROR = 4  # the log level of ggml
_UNWRITTEN = {"NVFP4"}  # llama.cpp can only read it
_PREFIXES = ("LLAMA_FTYPE_MOSTLY_", "LLAMA_FTYPE_ALL_")
_AT = re.compile(rb"\[\s*+(\d++)/\s*+(\d++)\]\s++(\S++)")
_PROGRESS = re.compile(r"(?<!\d)(\d++)/(\d++) (\S++)")


def kinds() -> dict[str, int]:
    """Return the number of each format that llama.cpp can write, by name."""
    from jupyter_turbopilot.engine.llama.bindings import bindings

    lib = bindings()
    numbers = {}
    for name in dir(lib):
        for prefix in _PREFIXES:
            if name.startswith(prefix):
                numbers[name.removeprefix(prefix).removesuffix("_MOE")] = int(getattr(lib, name))
    return {name: number for name, number in numbers.items() if name not in _UNWRITTEN}


def quantize(order: Order, threads: int, progress: Callable[[str, int, int], None] = lambda *_: None) -> Path:
    """Write the quantised file and return its path. It replaces an existing file only when it is complete."""
    numbers = map(str, (order.number, threads, int(order.again), os.getpid()))
    with write_atomically(order.target, ConversionError) as partial:
        command = [sys.executable, "-P", "-m", __name__, str(order.source), str(partial), *numbers]
        with (
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as child,
            on_failure(child.kill),
        ):
            for line in child.stdout or ():
                if at := _PROGRESS.match(line):
                    progress(at[3], int(at[1]), int(at[2]))
            output = (child.stderr.read() if child.stderr else "").strip()
        if child.returncode:
            last = output.splitlines()[-1][:300] if output else f"exit status {child.returncode}"
            raise ConversionError(f"llama.cpp could not quantise to {order.kind}: {last}")
    return order.target


def _work(source: Path, target: Path, number: int, threads: int, again: int) -> None:
    """Quantise a file in the child process."""
    from jupyter_turbopilot.engine.llama.bindings import bindings

    lib = bindings()
    last: list[str] = []

    @lib.llama_log_callback  # type: ignore[untyped-decorator]
    def log(level: int, text: bytes, _: Any) -> None:
        if at := _AT.search(text):
            print(f"{int(at[1])}/{int(at[2])} {at[3].decode('utf-8', 'replace')}", flush=True)
        elif level == _ERROR:
            last.append(text.decode("utf-8", "replace").strip())

    lib.llama_log_set(log, ctypes.c_void_p())
    chosen = lib.llama_model_quantize_default_params()
    chosen.ftype, chosen.nthread, chosen.allow_requantize = number, threads, bool(again)
    code = lib.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(chosen))
    if code:
        raise ConversionError(last[-1] if last else f"code {code}")


if __name__ == "__main__":
    from jupyter_turbopilot.util.parent_process import exit_with_parent

    exit_with_parent(int(sys.argv[6]))
    try:
        _work(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:6]))
    except TurbopilotError as problem:
        sys.exit(problem.message)
