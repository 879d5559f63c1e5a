"""Multi-function generation in a shell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.kernel_context import NONE
from jupyter_turbopilot.plugins.functions.existing import existing_names_for
from jupyter_turbopilot.plugins.functions.result import Result, result_of
from jupyter_turbopilot.plugins.functions.stub import parse_instruction
from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.terminal.output import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_turbopilot.plugins.functions.event import Event, FunctionTree
    from jupyter_turbopilot.plugins.functions.request import FunctionRequest
    from jupyter_turbopilot.plugins.functions.tree_output import TreeOutput

    Ask = Callable[[FunctionRequest], Iterator[Event]]

UNFINISHED = "The answer ended too early."


@dataclass(frozen=True)
class Functions:
    """The generated functions, and how the generation ended."""

    source: str = ""
    undefined: tuple[str, ...] = ()
    stopped: bool = False  # whether the user interrupted it
    broken: str = ""  # the error that ended it early


def write(request: FunctionRequest, ask: Ask, output: TreeOutput) -> Functions:
    """Generate functions. Neither Ctrl C nor an error discards finished functions."""
    try:
        for event in ask(request):
            output.show(event)
    except KeyboardInterrupt:
        return replace(_functions(request, output.tree), stopped=True)
    except TurbopilotError as error:
        found = _functions(request, output.tree)
        if not found.source:
            raise
        return replace(found, broken=printable(error.message))
    finally:
        output.end()
    found = _functions(request, output.tree)
    return found if output.tree.done else replace(found, broken=UNFINISHED)


def _functions(request: FunctionRequest, tree: FunctionTree) -> Functions:
    """Return the generated functions, complete or up to an interruption."""
    if tree.done:
        return Functions(tree.done.source, tree.done.undefined)
    above, functions = parse_instruction(request.source).above, tree.functions
    existing = existing_names_for(request, NONE, above)
    known = existing.names - functions.keys()
    result = result_of(above, functions, known, open_=existing.open) if functions else Result("")
    return Functions(result.source, result.undefined)
