from __future__ import annotations

import ctypes
import sys
import threading

import pytest

from jupyter_turbopilot.engine.llama.quiet import hushed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no variable of that name")


def native_print(text: str) -> None:
    """Print as a C library does."""
    libc = ctypes.CDLL(None)
    name = "__stderrp" if sys.platform == "darwin" else "stderr"
    stderr = ctypes.c_void_p.in_dll(libc, name)
    libc.fputs(text.encode(), stderr)
    libc.fflush(stderr)


def test_native_code_is_silent_within_and_python_is_not(capfd: pytest.CaptureFixture[str]) -> None:
    with hushed():
        native_print("a grammar\n")
        print("Python's", file=sys.stderr)
    native_print("afterwards\n")
    assert capfd.readouterr().err == "Python's\nafterwards\n"


def test_after_an_error_native_code_prints_again(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="inside"), hushed():
        raise ValueError("inside")
    native_print("afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


def test_threads_that_silence_at_once_leave_it_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        for _ in range(50):
            with hushed():
                native_print("never\n")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    native_print("afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"
