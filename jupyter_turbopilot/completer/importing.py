"""Where the import lines come from that a suggestion may add: memory, the documents at hand, conventions."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import remembered
from jupyter_turbopilot.completer.installed import Installed
from jupyter_turbopilot.memory.import_lines import Import, imports_of
from jupyter_turbopilot.suggestion.imports import Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.context.facts import Facts
    from jupyter_turbopilot.memory.base import Memory
    from jupyter_turbopilot.request import Completion

_INSTALLED = Installed()


def sources_of(
    request: Completion,
    facts: Facts,
    memory: Memory | None,
    installed: Callable[[str, Sequence[str]], bool] = _INSTALLED,
) -> Sources | None:
    """Return where a request's imports come from; None where it is not known what its kernel can import.

    `installed` tells whether a module is in one of some folders.
    """
    if not facts.path:
        return None

    @cache
    def at_hand() -> Counter[Import]:
        cells = {found for cell in request.cells if cell.type == "code" for found in _imports(cell.source)}
        others = ({*_imports(other.source)} for other in request.extra if other.language == "python")
        return Counter(found for document in (cells, *others) for found in document)

    def known(name: str) -> list[tuple[str, int]]:
        lines = [(found.line, count) for found, count in at_hand().items() if found.name == name]
        return [*lines, *(memory.imports(name) if memory else ())]

    return Sources(known, lambda module: installed(module, facts.path))


@remembered(2**20)
def _imports(source: str) -> tuple[Import, ...]:
    return tuple(imports_of(source))
