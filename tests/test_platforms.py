"""Other systems, as far as they can be simulated here; CONTRIBUTING.md lists what cannot be."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Functions that Windows lacks; macOS lacks the affinity, too.
ABSENT_MODULES = ["fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty", "_posixsubprocess"]
ABSENT_NAMES = [
    "chown", "fchmod", "fchown", "fork", "forkpty", "geteuid", "getgid", "getpgid", "getsid", "getuid",
    "killpg", "lchown", "mkfifo", "mknod", "nice", "openpty", "posix_fadvise", "posix_spawn", "pread",
    "preadv", "pwrite", "sched_getaffinity", "sched_setaffinity", "setpgid", "setsid", "setuid", "statvfs",
    "sysconf", "uname", "wait4", "waitid", "O_CLOEXEC", "O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK",
    "O_SYNC",
]  # fmt: skip
ABSENT_SIGNALS = [
    "SIGALRM", "SIGBUS", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSYS", "SIGTRAP", "SIGUSR1",
]  # fmt: skip

IMPORT_EVERYTHING = f"""
import importlib, os, pkgutil, signal, sys
import pytest

packages = [importlib.import_module(name) for name in sys.argv[1:]]
optional = ("plugins.transformers", "plugins.convert", "tests.test_progress")  # of `make`, which needs POSIX
names = [
    found.name for package in packages
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
    if not found.name.removeprefix("jupyter_turbopilot.").startswith(optional)
]
sys.path.insert(0, "scripts")  # as pytest does
def import_all():
    skipped = []
    for name in names:
        try:
            importlib.import_module(name)
        except pytest.skip.Exception:
            skipped.append(name)
    return skipped
before = import_all()  # with all that they import of others, which have to see to themselves
for name in [name for name in sys.modules if name.partition(".")[0] in ("jupyter_turbopilot", "tests") or name.startswith("turbopilot_")]:
    del sys.modules[name]
for name in {ABSENT_MODULES!r}:
    sys.modules[name] = None
for module, absent in ((os, {ABSENT_NAMES!r}), (signal, {ABSENT_SIGNALS!r})):
    for name in absent:
        if hasattr(module, name):
            delattr(module, name)
assert import_all() == before
"""


def import_everything(*packages: str) -> None:
    """Import the modules of packages without the functions that POSIX alone has."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING, *packages],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


def test_modules_and_tests_can_be_imported_without_functions_of_posix() -> None:
    import_everything("jupyter_turbopilot", "tests")
