"""Helper functions in the terminal: `%%complete --helpers` and `jupyter turbopilot generate --helpers`."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.terminal.plugin import TerminalPlugin
from jupyter_turbopilot.util.bounds import FUNCTION_TOKENS, MOST_FUNCTION_TOKENS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator

    from jupyter_turbopilot.plugins.functions.request import Event, FunctionRequest
    from jupyter_turbopilot.settings.config import Turbopilot
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
        from IPython.core.error import UsageError

        if not options.helpers:
            return False
        if not code.strip():
            raise UsageError(_DESCRIBE)
        if options.fill or options.lines or options.temperature or options.alternatives != 1:
            raise UsageError("--helpers takes no --fill, --lines, --temperature or --alternatives.")
        _generate_in_shell(magics, options, code)
        return True

    def declare(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--helpers",
            action="store_true",
            help="generate a Python function and its helper functions from a stub or an instruction "
            "(see the IPython page of the documentation); not with -s, --top-k, --top-p, --temp "
            "and -b",
        )

    def generate(self, options: Any, settings: Turbopilot) -> int | None:
        """Print a function and its helper functions; progress is printed to standard error."""
        if not options.helpers:
            return None
        if (options.length or 1) > MOST_FUNCTION_TOKENS:
            raise BadRequestError(
                f"-n (--n-predict) must be from 1 to {MOST_FUNCTION_TOKENS} with --helpers.", field="length"
            )
        from jupyter_turbopilot.terminal.commands.generate import PLAIN, prompt_of

        if any(getattr(options, name) != value for name, value in PLAIN.items()):
            raise BadRequestError(
                "--helpers cannot be combined with --seed, --top-k, --top-p, --temp or --batch."
            )
        from jupyter_turbopilot.plugins.functions.request import FunctionRequest
        from jupyter_turbopilot.plugins.functions.show import TreeOutput, write
        from jupyter_turbopilot.terminal.in_process import InProcess
        from jupyter_turbopilot.terminal.output import printable

        prompt = prompt_of(options)
        settings.threads = options.threads or settings.threads
        settings.context_size = options.context or settings.context_size
        request = FunctionRequest(source=prompt, max_tokens=options.length or FUNCTION_TOKENS)
        local, output = InProcess(settings), TreeOutput(terminal=True)
        try:
            written = write(request, events_in_process(local, request), output)
        finally:
            local.close()
        if options.json:
            found = {"prompt": prompt, "source": written.source, "undefined": written.undefined}
            print(json.dumps(found, indent=1))
        else:
            # A terminal would interpret control sequences, which pipes pass on.
            print(printable(written.source) if sys.stdout.isatty() else written.source, end="")
        if isinstance(written.error, KeyboardInterrupt):
            raise written.error
        if written.error:
            output.say(f"{written.error.message} The result is incomplete.")
        return 1 if written.error else 0


def _generate_in_shell(magics: TurbopilotMagics, options: Any, code: str) -> None:
    """Generate a function with its helper functions, and put them into the next input."""
    from jupyter_turbopilot.plugins.functions.show import TreeOutput, write
    from jupyter_turbopilot.terminal.magics import complain

    request = functions_for(magics.shell, code, options.length)
    output = TreeOutput(terminal=magics.in_terminal)
    try:
        written = write(request, _events(magics, options, request), output)
    except TurbopilotError as error:
        complain(error)
        return
    if isinstance(written.error, TurbopilotError):
        complain(written.error, "What is finished is in the next cell.")
    elif written.error:
        output.say("Stopped." if written.source else "Stopped before a function was finished.")
    if written.undefined:
        output.say(f"Not defined: {', '.join(written.undefined)}")
    if written.source:
        magics.shell.set_next_input(written.source.removesuffix("\n"), replace=options.replace)


def functions_for(shell: Any, source: str, length: int | None = None) -> FunctionRequest:
    """Build a request for a function with its helper functions, with the session as context."""
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
