"""The import lines that code written for a shell needs in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.completer.importing import sources_of
from jupyter_turbopilot.shell.history import facts_of
from jupyter_turbopilot.suggestion.names import Names, scope_of

if TYPE_CHECKING:
    from jupyter_turbopilot.memory.reader import Memory
    from jupyter_turbopilot.request import Completion


def imports_for(shell: Any, request: Completion, text: str, memory: Memory | None = None) -> tuple[str, ...]:
    """Return the import lines that a text needs which answers a shell's request."""
    facts = facts_of(shell)
    sources = sources_of(request, facts, memory)
    return Names(request, scope_of(request, facts), sources).imports(text)
