"""Helper functions in IPython: `%%complete --helpers`."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.terminal.plugin import TerminalPlugin
from jupyter_turbopilot.util.bounds import FUNCTION_TOKENS

if TYPE_CHECKING:
    from collections.abc import Generator

    from jupyter_turbopilot.plugins.functions.request import Event, FunctionRequest
    from jupyter_turbopilot.terminal.in_process import InProcess
    from jupyter_turbopilot.terminal.magics import TurbopilotMagics

_DESCRIBE = (
    "On the lines below %%complete --helpers, describe the function, or write a `def` line with a docstring."
)


class HelperFunctions(TerminalPlugin):
    """Generates functions with their helper functions in a shell."""

    switches = (
        ("--helpers", "generate a function from a stub or an instruction, with its helper functions"),
    )

    def complete(self, magics: TurbopilotMagics, options: Any, code: str) -> bool:
        """Generate functions with `--helpers`, and put them into the next input."""
        if not options.helpers:
            return False
        from IPython.core.error import UsageError

        from jupyter_turbopilot.plugins.functions.show import TreeOutput, write
        from jupyter_turbopilot.terminal import output
        from jupyter_turbopilot.terminal.magics import complain

        if not code.strip():
            raise UsageError(_DESCRIBE)
        if options.fill or options.lines or options.temperature or options.alternatives != 1:
            raise UsageError("--helpers takes no --fill, --lines, --temperature or --alternatives.")
        request, terminal = _request(magics.shell, code, options.length), magics.in_terminal
        try:
            source, ended = write(request, _events(magics, options, request), TreeOutput(terminal=terminal))
        except TurbopilotError as error:
            complain(error)
            return True
        if isinstance(ended, TurbopilotError):
            complain(ended, "What is finished is in the next cell.")
        elif ended:
            stopped = "Stopped." if source else "Stopped before a function was finished."
            output.say(stopped, terminal=terminal)
        if source:
            magics.shell.set_next_input(source.removesuffix("\n"), replace=options.replace)
        return True


def _request(shell: Any, source: str, length: int | None) -> FunctionRequest:
    """Build a request with the session as context."""
    from jupyter_turbopilot.plugins.functions.request import FunctionRequest
    from jupyter_turbopilot.protocol.request import MAX_CELLS
    from jupyter_turbopilot.terminal.history import kernel_id_of, names_of, session_cells

    return FunctionRequest(
        source=source,
        kernel_id=kernel_id_of(shell),
        cells=session_cells(shell),
        names=names_of(shell)[-MAX_CELLS:],  # the newest, up to the limit of a request
        max_tokens=length or FUNCTION_TOKENS,
    )


def _events(magics: TurbopilotMagics, options: Any, request: FunctionRequest) -> Generator[Event]:
    """Yield the events of a generation in this process or in the server."""
    if magics.is_local(options):
        yield from events_in_process(magics.local_pilot(options.model), request)
        return
    from jupyter_turbopilot.plugins.functions.request import Event

    remote = magics.remote()
    try:
        yield from remote.frames("helpers", request, Event)
    finally:
        remote.close()


def events_in_process(local: InProcess, request: FunctionRequest) -> Generator[Event]:
    """Yield the events of a generation; closing the generator cancels it."""
    from jupyter_turbopilot.plugins.functions.function_generator import generate_functions
    from jupyter_turbopilot.plugins.functions.request import Event

    local.check()
    steps = generate_functions(request)
    local.wait()  # the time limit starts after loading
    for step in steps:
        if isinstance(step, Event):
            yield step
        else:
            with closing(local.replies(step.completion)) as replies:
                yield from filter(None, map(step.take, replies))


PLUGIN = HelperFunctions()
