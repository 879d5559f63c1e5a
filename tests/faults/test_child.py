"""Child processes that die, hang, print or do not start, and parents that die."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama import load_test
from jupyter_turbopilot.engine.llama.load_test import Load
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.protocol.errors import CancelledError, ModelRefusedError, TurbopilotError

from ..engine.llama.children import change, play
from ..waiting import until

signals = pytest.mark.skipif(sys.platform == "win32", reason="it sends signals, which Windows does not have")


def gone(pid: int) -> bool:
    """Return whether a process has ended; in a container, it may stay a zombie."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def load(tiny_model: Path, tmp_path: Path) -> Callable[..., None]:
    def ensure(model: Path = tiny_model, cancel: Cancel | None = None) -> None:
        what = Load(str(model), LoadPlan(context_size=256, threads=1), "tiny")
        load_test.ensure_loads(what, tmp_path / "verdicts", cancel or Cancel())

    return ensure


@pytest.mark.parametrize(
    ("script", "words", "code"),
    [
        ("kill -SEGV $$", r"it crashed \(signal 11\).*Choose another model", "model_refused"),
        ("kill -ILL $$", r"another processor.*--no-binary llama-cpp-python", "engine_missing"),
        ("kill -KILL $$", "it was killed, probably because .*out of memory.*Close programs", "memory"),
        ("echo 'what():  std::bad_alloc' >&2; kill -ABRT $$", "there was not enough memory", "memory"),
        ("echo 'failed to allocate buffer of size 9' >&2; exit 3", "there was not enough memory", "memory"),
        ("echo 'llama_load: failed to open it' >&2; exit 3", "it failed", "load_test"),
        ("echo 'ImportError: it is being installed' >&2; exit 1", "ImportError", "load_test"),
        ("exec sleep 60", "it did not answer within 0 seconds.*close other programs", "load_test"),
        ("exit 0", r"it failed \(exit status 0\)", "load_test"),
    ],
)
def test_child_that_dies_at_each_load_is_rejected_with_a_message(
    script: str,
    words: str,
    code: str,
    load: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    play(tmp_path, monkeypatch, script)
    monkeypatch.setattr(load_test, "LOAD_SECONDS", 0.3 if "sleep" in script else 30)
    for _ in range(2):
        with pytest.raises(TurbopilotError, match=words) as refused:
            load()
        assert refused.value.code == code


@pytest.mark.parametrize("share", [0.25, 0.5, 0.99])
def test_truncated_file_is_rejected_before_this_process_opens_it(
    share: float, load: Callable[..., None], tiny_model: Path, tmp_path: Path
) -> None:
    data = tiny_model.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelRefusedError, match="in a child process: it failed") as refused:
        load(cut)
    assert refused.value.code == "model_refused"


def test_cancelled_load_ends_the_child(
    load: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(tmp_path, monkeypatch, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    cancel = Cancel()

    def call_off() -> None:
        until((tmp_path / "pid").exists)
        cancel.set("stopped")

    caller = threading.Thread(target=call_off)
    caller.start()
    with pytest.raises(CancelledError):
        load(cancel=cancel)
    caller.join()
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_child_survives_native_output_reads_from_stdin_and_sigint(
    load: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = """
        import ctypes
        import os
        import signal
        import sys

        from jupyter_turbopilot.engine.llama.engine import LlamaEngine

        evaluate, libc = LlamaEngine.evaluate, ctypes.CDLL(None)

        def noisy(self, rows, attention):
            libc.puts(b"noise " * 10_000)
            libc.fflush(None)
            os.write(1, b"more noise")
            os.write(2, b"noise " * 20_000)
            print("noise", flush=True)
            libc.getchar()
            sys.stdin.read()
            os.kill(os.getpid(), signal.SIGINT)
            return evaluate(self, rows, attention)

        LlamaEngine.evaluate = noisy
    """
    change(tmp_path, monkeypatch, changes)
    load()


def test_child_imports_no_modules_from_the_working_directory(
    load: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json", "numpy", "msgspec"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    load()


# Each forks after it has started a process; the fork keeps the pipes of that process open.
FORKS = """
import os, subprocess, time
from pathlib import Path

start = subprocess.Popen.__init__

def start_and_fork(*given, **options):
    start(*given, **options)
    if not os.fork():
        time.sleep(60)

subprocess.Popen.__init__ = start_and_fork
"""
PARENTS = {
    "load test": """
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama import load_test
from jupyter_turbopilot.engine.load.plan import LoadPlan
load_test.Load.key = lambda _: ""
load_test.ensure_loads(load_test.Load("m.gguf", LoadPlan(512, 1), "m"), Path("verdicts"), Cancel())
""",
    "quantization": """
from jupyter_turbopilot.plugins.convert.quantize import Order, quantize
quantize(Order(Path("m.gguf"), Path("target"), "Q8_0", number=7, again=False), 1)
""",
}


def end_a_parent(work: str, tmp_path: Path) -> None:
    """Kill a process during its work, and check that its children end and leave no files."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (tmp_path / "llama_cpp.py").write_text("import time\nopen('begun', 'w').close()\ntime.sleep(60)")
    folders = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    with subprocess.Popen(
        [sys.executable, "-c", FORKS + work],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": folders},
    ) as parent:
        until(lambda: any(tmp_path.rglob("begun")))
        children = psutil.Process(parent.pid).children()
        parent.kill()
    forks = [child for child in children if FORKS + work in child.cmdline()]
    try:
        until(lambda: all(gone(child.pid) for child in children if child not in forks))
        until(lambda: not [*temporary.iterdir()])
    finally:
        for child in children:
            with suppress(psutil.Error):
                child.kill()
    assert 0 < len(forks) < len(children)


@signals
@pytest.mark.parametrize("work", [*PARENTS])
def test_children_end_with_a_killed_parent(work: str, tmp_path: Path) -> None:
    end_a_parent(PARENTS[work], tmp_path)
