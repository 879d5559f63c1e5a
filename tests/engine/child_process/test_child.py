from __future__ import annotations

import os
import subprocess
import sys

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.child_process import child
from jupyter_turbopilot.engine.child_process.child import Host
from jupyter_turbopilot.engine.child_process.messages import RunRequest, Step

from ..jobs import SmallEngine


def test_host_reports_unknown_runs() -> None:
    host = Host(SmallEngine("word"))
    for request in (Step((1,)), RunRequest("suspend", 1), RunRequest("resume", 1), RunRequest("release", 1)):
        assert host.reply(request, Cancel()).failure


def test_child_ends_after_invalid_input() -> None:
    for given in (b"", b"\x01\x00\x00\x00\xc1", b"GET / HTTP/1.1\r\n\r\n"):
        ended = subprocess.run(
            [sys.executable, "-P", "-m", child.__name__, str(os.getpid())],
            input=given,
            capture_output=True,
            timeout=60,
        )
        assert (ended.returncode, ended.stdout) == (0, b"")
