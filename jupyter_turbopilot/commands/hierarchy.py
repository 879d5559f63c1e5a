"""`jupyter turbopilot generate --hierarchical`: a function, and the functions that it calls."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_turbopilot.config import Turbopilot


def run(source: str, length: int | None, settings: Turbopilot, *, test: bool, as_json: bool) -> int:
    """Print the functions; what happens meanwhile goes to standard error."""
    from jupyter_turbopilot.bounds import FUNCTION_TOKENS
    from jupyter_turbopilot.request import Hierarchy
    from jupyter_turbopilot.shell.hierarchy import write
    from jupyter_turbopilot.shell.in_process import InProcess
    from jupyter_turbopilot.shell.output import printable
    from jupyter_turbopilot.shell.tree_output import TreeOutput

    request = Hierarchy(source=source, max_tokens=length or FUNCTION_TOKENS)
    local, output = InProcess(settings), TreeOutput(terminal=True)
    try:
        written = write(request, local.hierarchy, output, output.say, test=test)
    finally:
        local.close()
    if as_json:
        said = {"source": written.source, "undefined": written.undefined, "failed": written.failed}
        print(json.dumps({"prompt": source, **said}, indent=1))
    else:
        # A terminal would obey what a pipe passes on.
        print(printable(written.source) if sys.stdout.isatty() else written.source, end="")
    if written.broken:
        output.say(f"{written.broken} Not all was written.")
    if written.stopped:
        raise KeyboardInterrupt
    return 1 if written.failed or written.broken else 0
