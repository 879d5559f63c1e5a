"""The session of a shell as context for prompts."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from jupyter_turbopilot.analysis.kernel_context import KernelContext, Modules, ObjectInfo
from jupyter_turbopilot.completer.import_sources import sources_of
from jupyter_turbopilot.context.private import without_secrets
from jupyter_turbopilot.jupyter.kernels import probe
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.suggestion.names import Names, scope_of

if TYPE_CHECKING:
    from jupyter_turbopilot.index.reader import NotebookIndex

CELLS = 60
LONGEST_ID = 128  # characters of a kernel's id in a request
LONGEST_NAME = 512  # characters of a name in a request
_RUN = secrets.token_hex(8)
_OURS = ("%%complete", "%complete", "%turbopilot")


def client_of(shell: Any) -> str:
    """Return a unique client id for a shell: requests replace only those of the same client."""
    return f"shell-{_RUN}-{os.getpid()}-{id(shell):x}"


def kernel_id_of(shell: Any) -> str | None:
    """Return the id of a shell's kernel, by which the server finds its notebook; None in a terminal."""
    app = getattr(getattr(shell, "kernel", None), "parent", None)
    file = getattr(app, "connection_file", "") or ""
    return Path(file).stem.removeprefix("kernel-")[:LONGEST_ID] or None


def failed_inputs(shell: Any) -> set[str]:
    """Return the inputs of this session whose last execution raised an error other than an interrupt."""
    history, failed = shell.history_manager, set[str]()
    errors = getattr(history, "exceptions", {})  # since IPython 9.1
    for number, source in enumerate(history.input_hist_raw):
        if errors.get(number, {}).get("ename") in {None, "KeyboardInterrupt"}:
            failed.discard(source.strip())
        else:
            failed.add(source.strip())
    return failed


def session_cells(shell: Any) -> list[Cell]:
    """Return the executed inputs of this session.

    Turbopilot's own magics, lines that look like secrets, and single lines that failed are omitted: the model
    would repeat them. A failed input of several lines may have bound names before the error.
    """
    cells, failed = [], failed_inputs(shell)
    for source in shell.history_manager.input_hist_raw[1:][-CELLS:]:
        text = without_secrets(source)
        if source.strip() in failed and "\n" not in source.strip():
            continue
        if text.strip() and not text.lstrip().startswith(_OURS):
            cells.append(Cell(source=text, executed=True))
    return cells


def names_of(shell: Any) -> list[str]:
    return [name for name in [*shell.user_ns] if type(name) is str and len(name) <= LONGEST_NAME]


def kernel_context_of(shell: Any) -> KernelContext:
    """Return the names and modules in a shell and its module search path: enough to find missing names."""
    names = {name: ObjectInfo(name=_module_name(shell.user_ns.get(name))) for name in names_of(shell)}
    return KernelContext(names, all=True, modules=msgspec.convert(probe.modules(), Modules))


def _module_name(value: object) -> str | None:
    name = vars(value).get("__name__") if type(value) is ModuleType else None
    return name if type(name) is str else None


def request_at(
    shell: Any,
    text: str,
    offset: int,
    *,
    trigger: Literal["automatic", "invoke"] = "automatic",
    **more: Any,
) -> Completion:
    """Build a request to complete `text` at `offset`, with the session as context.

    A magic's request has no `Completion.client`, so it is not in the usage log.
    """
    cells = session_cells(shell)
    return Completion(
        kernel_id=kernel_id_of(shell),
        cells=[*cells, Cell(source=text)],
        active=len(cells),
        offset=offset,
        trigger=trigger,
        **more,
    )


def imports_for(
    shell: Any, request: Completion, text: str, notebook_index: NotebookIndex | None = None
) -> tuple[str, ...]:
    kernel_context = kernel_context_of(shell)
    sources = sources_of(request, kernel_context, notebook_index)
    return Names(request, scope_of(request, kernel_context), sources).imports(text)
