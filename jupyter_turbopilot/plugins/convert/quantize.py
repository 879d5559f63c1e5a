"""Quantises a file in a child process, so that it can be stopped and a crash does not end the caller."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.models.ggml import NEEDS_MATRIX, UNQUANTISED_FILES
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.protocol.errors import ConversionError, TurbopilotError
from jupyter_turbopilot.util.failures import on_failure
from jupyter_turbopilot.util.files import need_room, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ERROR = 4  # the log level of ggml
_UNWRITTEN = {"NVFP4"}  # llama.cpp can only read it
_PREFIXES = ("LLAMA_FTYPE_MOSTLY_", "LLAMA_FTYPE_ALL_")
_AT = re.compile(rb"\[\s*+(\d++)/\s*+(\d++)\]\s++(\S++)")
_PROGRESS = re.compile(r"(?<!\d)(\d++)/(\d++) (\S++)")


@dataclass(frozen=True)
class Order:
    """A valid request to quantise a file."""

    source: Path
    target: Path
    kind: str
    number: int  # llama.cpp's number of the type
    again: bool  # whether the source is quantised already


def order(source: Path, target: Path, kind: str, kinds: Mapping[str, int], *, force: bool) -> Order:
    """Return a valid request to quantise, or raise ConversionError."""
    name = kind.upper()
    if name not in kinds:
        raise ConversionError(
            f"{kind!r} is not a type of quantisation. Choose one of: {', '.join(sorted(kinds))}."
        )
    header = read_header(source)
    before = header.metadata.get("general.file_type")
    again = not isinstance(before, int) or before not in UNQUANTISED_FILES
    if again and not force:
        called = next((key for key, number in kinds.items() if number == before), f"number {before}")
        raise ConversionError(
            f"{source.name} is quantised already ({called}). Quantising again adds to the loss: from "
            "Q8_0 to Q4_0 the perplexity of code rises by 6 %. Quantise the F16 file, or add --force."
        )
    if name in NEEDS_MATRIX:
        raise ConversionError(
            f"{name} needs an importance matrix, which llama-cpp-python cannot create. Create it with "
            "llama.cpp's own llama-imatrix and llama-quantize, or choose another type, IQ3_S or Q2_K."
        )
    if target.exists() and target.samefile(source):
        raise ConversionError("The output file is the input file. Choose another name.")
    need_room(target, header.file_size, ConversionError)
    return Order(source, target, name, kinds[name], again)


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
    from jupyter_turbopilot.util.threads import exit_with_parent

    exit_with_parent(int(sys.argv[6]))
    try:
        _work(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:6]))
    except TurbopilotError as problem:
        sys.exit(problem.message)
