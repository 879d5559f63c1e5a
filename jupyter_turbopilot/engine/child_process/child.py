"""The child process, which loads an engine and serves the requests of its parent."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.child_process.messages import (
    REFUSED,
    ChildError,
    ChildReply,
    Close,
    Description,
    Interrupt,
    Progress,
    Request,
    RunRequest,
    Start,
    Step,
    UseThreads,
    decode_request,
    encode,
    take_standard_pipes,
)
from jupyter_turbopilot.protocol.errors import EngineError, TurbopilotError
from jupyter_turbopilot.util.failures import on_failure
from jupyter_turbopilot.util.threads import exit_with_parent, start_thread

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.base import Engine, Run
    from jupyter_turbopilot.engine.child_process.messages import FramePipe
    from jupyter_turbopilot.protocol.engine_request import EngineRequest


def listen(pipe: FramePipe, queue: SimpleQueue[tuple[Request, Cancel]]) -> None:
    """Queue requests, and apply an interrupt to the last one. End the process if the pipe is closed.

    The parent sends an interrupt only while it waits for a reply, so a late interrupt has no effect.
    """
    try:
        interrupt = Cancel()
        while True:
            request = decode_request(pipe.receive())
            if isinstance(request, Interrupt):
                interrupt.set("interrupt")
            else:
                interrupt = Cancel()
                queue.put((request, interrupt))
    except (EOFError, OSError, ValueError):
        os._exit(0)  # the parent has ended


class Host:
    """Applies requests to an engine, one at a time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._runs: dict[int, Run] = {}
        self._requests: dict[int, EngineRequest] = {}

    def describe(self) -> Description:
        engine = self.engine
        return Description(engine.name, engine.fim, engine.context_size, engine.identity, engine.capabilities)

    def reply(self, request: Request, interrupt: Cancel) -> ChildReply:
        """Process a request. The reply contains an exception, and the tokens generated before it."""
        granted, failure = True, None
        try:
            granted = self._do(request, interrupt)
        except Exception as error:  # noqa: BLE001 - the parent handles all errors of the engine
            failure = ChildError.of(error)
        match request:
            case Step(runs):
                numbers = runs
            case Start(run) | RunRequest(run=run):
                numbers = (run,)
            case _:
                numbers = ()
        progress = [self._progress(number) for number in numbers if number in self._runs]
        return ChildReply(progress, granted, failure, speed=self.engine.speed)

    def _do(self, request: Request, interrupt: Cancel) -> bool:
        engine, runs = self.engine, self._runs
        match request:
            case Start(number, engine_request):
                run = engine.start(engine_request)
                if run is None:
                    return False
                runs[number], self._requests[number] = run, engine_request
            case Step(numbers):
                engine.step([runs[number] for number in numbers], interrupt)
            case RunRequest("suspend", number):
                engine.suspend(runs[number])
            case RunRequest("resume", number):
                return engine.resume(runs[number])
            case RunRequest("release", number):
                del self._requests[number]
                engine.release(runs.pop(number))
            case UseThreads(count):
                engine.use_threads(count)
            case Close(keep):
                engine.close(keep=keep)
        return True

    def _progress(self, number: int) -> Progress:
        run = self._runs[number]
        fresh, run.fresh = run.fresh, []
        return Progress(fresh, run.done, run.pending, self._requests[number].usage)


def serve(pipe: FramePipe, queue: SimpleQueue[tuple[Request, Cancel]]) -> int:
    """Load an engine and process requests until it is closed; return the exit status."""
    request: Any = queue.get()[0]  # a `Load`
    try:
        host = Host(request.hosted().load())
    except EngineError as error:
        print(error.message, file=sys.stderr)  # noqa: T201 - the parent reads the last line
        return REFUSED
    except TurbopilotError as error:
        pipe.send(encode(ChildReply(failure=ChildError.of(error))))
        return 0
    pipe.send(encode(ChildReply(engine=host.describe())))
    while not isinstance(request, Close):
        request, interrupt = queue.get()
        pipe.send(encode(host.reply(request, interrupt)))
    return 0


def main() -> None:
    with suppress(ValueError, OSError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    pipe = take_standard_pipes()
    queue = SimpleQueue[tuple[Request, Cancel]]()
    start_thread("requests", partial(listen, pipe, queue))
    if os.name == "posix":  # on Windows, `listen` sees that the pipe is closed
        exit_with_parent(int(sys.argv[1]))
    with on_failure(_fail):
        status = serve(pipe, queue)
    os._exit(status)  # the listening thread cannot be stopped otherwise


def _fail() -> None:
    traceback.print_exc()  # the parent reads it
    os._exit(1)


if __name__ == "__main__":
    main()
