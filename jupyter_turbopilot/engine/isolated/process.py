"""The child process, as its parent has it: requests with a limit in time, and words for how it ended."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, cast

import msgspec

from jupyter_turbopilot.engine.isolated.messages import Attention, Load, Reply, Request, decode_reply, encode
from jupyter_turbopilot.engine.isolated.pipes import BrokenFrameError, FramePipe
from jupyter_turbopilot.engine.isolated.time_limit import TimeLimit
from jupyter_turbopilot.engine.isolated.verdict import Verdict, judge, not_started, read_end

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.cancel import Cancel

# -P: a notebook's folder may hold a json.py, which must not be imported.
ARGUMENTS = ("-P", "-m", "jupyter_turbopilot.engine.isolated.child")
SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY|ENGINE_KEY", re.IGNORECASE)  # of no use to a model
ENDS_WITHIN = 2.0  # seconds in which a process ends that has nothing to do any more
_ATTENTION = encode(Attention())


class ProcessEndedError(Exception):
    """The process has ended, or had to be ended; `verdict` says how, in words."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.words)
        self.verdict = verdict


class ChildProcess:
    """A process that replies to requests, one at a time, and ends with this process."""

    def __init__(self, *, urgent: float) -> None:
        """`urgent`: how many seconds a request may still take after it was to be cut short."""
        self._urgent = urgent
        self._killed = ""  # why it was
        self._verdict: Verdict | None = None  # once it has ended
        self._quotable = True  # whether what it printed may be quoted: nobody's text has been sent to it yet
        # Into a file: a child that writes more than a pipe holds would wait for a reader.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process lives
        try:
            self._process = subprocess.Popen(
                [sys.executable, *ARGUMENTS, str(os.getpid())],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._output,
                env={name: value for name, value in os.environ.items() if not SECRET.search(name)},
                # Ctrl-C in a terminal is for the server, which ends it in order.
                process_group=0 if os.name == "posix" else None,
            )
        except OSError as error:
            self._output.close()
            raise ProcessEndedError(not_started(error)) from None
        receiving = io.BufferedReader(cast("io.FileIO", self._process.stdout))
        self._pipe = FramePipe(receiving, cast("io.FileIO", self._process.stdin))
        self._limit = TimeLimit(lambda seconds: self.kill(f"it did not answer within {seconds:g} seconds"))

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def ask(self, request: Request, seconds: float, attention: Cancel | None = None) -> Reply:
        """Send a request and return its reply; `attention` is passed on while it is waited for."""
        if self._verdict:
            raise ProcessEndedError(self._verdict)
        message = encode(request)
        self._quotable = isinstance(request, Load)
        try:
            with self._limit.within(seconds):
                self._pipe.send(message)
                # From here on: attention that came before the request would be taken for the previous one's.
                with attention.interrupting(self._pass_on) if attention else nullcontext():
                    data = self._pipe.receive()
            return decode_reply(data)
        except (OSError, EOFError):
            raise ProcessEndedError(self.end()) from None
        except (BrokenFrameError, msgspec.DecodeError, ValueError):
            self.kill("it did not keep to the protocol")
            raise ProcessEndedError(self.end()) from None
        except BaseException:
            self.kill("a request was interrupted")  # whose reply would be taken for the next one's
            self.end()
            raise

    def _pass_on(self) -> None:
        """Have what is under way cut short. The pipe has room: it holds one short request at most."""
        with suppress(OSError):
            self._pipe.send(_ATTENTION)
        self._limit.shorten(self._urgent)

    def kill(self, why: str) -> None:
        """Kill it, from any thread; whoever waits for a reply gets the reason."""
        self._killed = self._killed or why
        self._process.kill()

    def end(self) -> Verdict:
        """Have it end, free what it needed, and say how it ended."""
        if self._verdict is None:
            self._pipe.close()
            try:
                status = self._process.wait(ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                status = self._process.wait()
            self._limit.close()
            self._verdict = self._judge(status, read_end(self._output))
            self._output.close()
        return self._verdict

    def _judge(self, status: int, output: str) -> Verdict:
        if self._killed or status == 0:
            return Verdict(self._killed or "it ended", code="trial")
        verdict = judge(status, output)
        return verdict if self._quotable or verdict.code == "memory" else judge(status, "")
