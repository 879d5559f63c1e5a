"""The child process: it loads an engine and serves the requests of its parent until the parent ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.child_process.messages import (
    REFUSED,
    BrokenFrameError,
    Close,
    Description,
    Failure,
    Interruption,
    Load,
    Progress,
    Release,
    Reply,
    Request,
    Resume,
    Start,
    Step,
    Suspend,
    UseThreads,
    decode_request,
    encode,
    take_standard_pipes,
)
from jupyter_turbopilot.errors import EngineError, TurbopilotError

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.base import Engine, Run
    from jupyter_turbopilot.engine.child_process.messages import FramePipe
    from jupyter_turbopilot.generation import EngineRequest


LOOKS = 0.5  # seconds between checks whether the parent is alive


class QueuedRequest(NamedTuple):
    """A request and its interrupt."""

    request: Request
    interrupt: Cancel


def listen(pipe: FramePipe, queue: SimpleQueue[QueuedRequest]) -> None:
    """Queue requests and pass interrupts on to the last of them; end the process at the end of the pipe.

    The parent sends an interrupt only while it waits for a reply. A late one is for a request that has
    been replied to, and reaches no other.
    """
    try:
        interrupt = Cancel()
        while True:
            request = decode_request(pipe.receive())
            if isinstance(request, Interruption):
                interrupt.set("interrupt")
            else:
                interrupt = Cancel()
                queue.put(QueuedRequest(request, interrupt))
    except (EOFError, OSError, BrokenFrameError, msgspec.DecodeError, ValueError):
        os._exit(0)  # immediately: the parent is gone


def end_with(parent: int) -> None:
    """End the process when its parent has ended: a process that the parent forked may keep the pipe open."""
    while os.getppid() == parent:
        time.sleep(LOOKS)
    os._exit(0)


class Host:
    """Does what is asked of an engine, one request at a time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._runs: dict[int, Run] = {}
        self._asks: dict[int, EngineRequest] = {}

    def describe(self) -> Description:
        """Return what the engine says about itself."""
        engine = self.engine
        return Description(engine.name, engine.fim, engine.context_size, engine.identity, engine.capabilities)

    def reply(self, request: Request, interrupt: Cancel) -> Reply:
        """Do what is asked; an exception is a failure in the reply, with what had been written before it."""
        granted, failure = True, None
        try:
            granted = self._do(request, interrupt)
        except Exception as error:  # noqa: BLE001 - whatever the engine raises, the parent decides what follows
            failure = Failure.of(error)
        match request:
            case Step(runs):
                numbers = runs
            case Start(run) | Suspend(run) | Resume(run):
                numbers = (run,)
            case _:
                numbers = ()
        return Reply([self._progress(number) for number in numbers if number in self._runs], granted, failure)

    def _do(self, request: Request, interrupt: Cancel) -> bool:
        engine, runs = self.engine, self._runs
        match request:
            case Start(number, ask):
                run = engine.start(ask)
                if run is None:
                    return False
                runs[number], self._asks[number] = run, ask
            case Step(numbers):
                engine.step([runs[number] for number in numbers], interrupt)
            case Suspend(number):
                engine.suspend(runs[number])
            case Resume(number):
                return engine.resume(runs[number])
            case Release(number):
                del self._asks[number]
                engine.release(runs.pop(number))
            case UseThreads(count):
                engine.use_threads(count)
            case Close(keep):
                engine.close(keep=keep)
        return True

    def _progress(self, number: int) -> Progress:
        run = self._runs[number]
        fresh, run.fresh = run.fresh, []
        return Progress(fresh, run.done, run.pending, self._asks[number].usage)


def serve(pipe: FramePipe, queue: SimpleQueue[QueuedRequest]) -> int:
    """Load an engine, and reply until it is closed; return the exit status, which the parent judges."""
    request = queue.get().request
    if not isinstance(request, Load):
        return 1
    try:
        host = Host(request.hosted.load())
    except EngineError as error:
        print(error.message, file=sys.stderr)  # noqa: T201 - read by the parent, after what the engine printed
        return REFUSED
    except TurbopilotError as error:
        pipe.send(encode(Reply(failure=Failure.of(error))))
        return 0
    pipe.send(encode(Reply(engine=host.describe())))
    while not isinstance(request, Close):
        request, interrupt = queue.get()
        pipe.send(encode(host.reply(request, interrupt)))
    return 0


def main() -> None:
    """Run the process."""
    with suppress(ValueError, OSError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the parent, too, who decides
    pipe = take_standard_pipes()
    queue = SimpleQueue[QueuedRequest]()
    threading.Thread(target=listen, args=(pipe, queue), daemon=True).start()
    if os.name == "posix":
        threading.Thread(target=end_with, args=(int(sys.argv[1]),), daemon=True).start()
    status = 1
    try:
        status = serve(pipe, queue)
    except BaseException:  # noqa: BLE001 - the parent reads why
        traceback.print_exc()
    os._exit(status)  # the thread that listens cannot be ended otherwise


if __name__ == "__main__":
    main()
