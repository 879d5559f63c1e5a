"""Helper functions in the terminal: `%%complete --helpers` and `jupyter turbopilot generate --helpers`."""

from __future__ import annotations

import json
import re
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.terminal.plugin import TerminalPlugin
from jupyter_turbopilot.util.bounds import FUNCTION_TOKENS, MOST_FUNCTION_TOKENS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Iterator

    from jupyter_turbopilot.plugins.functions.request import Event, FunctionRequest
    from jupyter_turbopilot.settings.config import Turbopilot
    from jupyter_turbopilot.terminal.in_process import InProcess
    from jupyter_turbopilot.terminal.magics import TurbopilotMagics

_DESCRIBE = (
    "On the lines below %%complete --helpers, describe the function, or write a `def` line with a docstring."
)

# Names for IPython's history: `_`, `__`, `___`, `_i`, `_i1`, `_1`, `_ih`, `_oh`, `_dh`.
_KEPT = re.compile(r"_{1,3}|_i{1,3}|_i?\d+|_[iod]h")


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
            written = write(request, partial(events_in_process, local), output)
        finally:
            local.close()
        if options.json:
            found = {"prompt": prompt, "source": written.source, "undefined": written.undefined}
            print(json.dumps(found, indent=1))
        else:
            # A terminal would interpret control sequences, which pipes pass on.
            print(printable(written.source) if sys.stdout.isatty() else written.source, end="")
        if written.broken:
            output.say(f"{written.broken} The result is incomplete.")
        if written.stopped:
            raise KeyboardInterrupt
        return 1 if written.broken else 0


def _generate_in_shell(magics: TurbopilotMagics, options: Any, code: str) -> None:
    """Generate a function with its helper functions, and put them into the next input."""
    from jupyter_turbopilot.plugins.functions.show import TreeOutput, write
    from jupyter_turbopilot.terminal.magics import complain
    from jupyter_turbopilot.terminal.output import printable

    request = functions_for(magics.shell, code, options.length)

    def tell(words: str) -> None:
        output.say(f"Turbopilot: {words}" if magics.in_terminal else words)

    output = TreeOutput(terminal=magics.in_terminal)
    try:
        written = write(request, partial(_events, magics, options), output)
    except TurbopilotError as error:
        complain(error)
        return
    if written.stopped:
        tell("Stopped." if written.source else "Stopped before a function was finished.")
    if written.broken:
        rest = "What is finished is in the next cell." if written.source else "Nothing was finished."
        print(f"Turbopilot: {printable(written.broken)} {rest}", file=sys.stderr)
    if written.undefined:
        tell(f"Not defined: {', '.join(written.undefined)}")
    if written.source:
        magics.shell.set_next_input(written.source.removesuffix("\n"), replace=options.replace)


def functions_for(shell: Any, source: str, length: int | None = None) -> FunctionRequest:
    """Build a request for a function with its helper functions, with the session as context."""
    from jupyter_turbopilot.plugins.functions.request import FunctionRequest
    from jupyter_turbopilot.protocol.request import MAX_CELLS
    from jupyter_turbopilot.terminal.history import LONGEST_NAME, kernel_id_of, session_cells

    names = [
        name
        for name in shell.user_ns
        if name.isidentifier() and len(name) <= LONGEST_NAME and not _KEPT.fullmatch(name)
    ]
    length = FUNCTION_TOKENS if length is None else length
    return FunctionRequest(
        source=source,
        kernel_id=kernel_id_of(shell),
        cells=session_cells(shell),
        names=names[-MAX_CELLS:],  # the newest, up to the limit of a request
        max_tokens=length,
    )


def _events(magics: TurbopilotMagics, options: Any, request: FunctionRequest) -> Iterator[Event]:
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
    """Return the events of a generation; closing the iterator cancels it."""
    from jupyter_turbopilot.plugins.functions.function_generator import generate_functions
    from jupyter_turbopilot.plugins.functions.model_requests import follow

    local.check()
    steps = generate_functions(request)
    local.wait()  # the request's time limit starts after loading
    return follow(steps, local.replies)


PLUGIN = HelperFunctions()
