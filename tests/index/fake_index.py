"""An index with scripted results."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from jupyter_turbopilot.analysis.lines import Continuation
from jupyter_turbopilot.index.reader import NotebookIndex


def sighting(
    rest: str, documents: int = 3, *, above: bool = False, times: int = 0, imports: float = 1.0
) -> Continuation:
    return Continuation(
        rest, times=times or documents, documents=documents, above=above, days=1.0, imports=imports
    )


@dataclass(eq=False)
class FakeIndex(NotebookIndex):
    """`lines`: indexed lines with their matches."""

    lines: dict[str, Continuation] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    asked: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, *lines: str, documents: int = 5) -> FakeIndex:
        return cls({line: sighting("", documents) for line in lines})

    def continuations(
        self, language: str, begun: str, above: str, *, path: str, modules: Collection[str]
    ) -> Sequence[Continuation]:
        self.before()
        start = begun.lstrip()
        self.asked.append(start)
        return [
            replace(found, rest=line[len(start) :])
            for line, found in self.lines.items()
            if line.startswith(start)
        ]

    def imports(
        self, name: str, *, folder: str | None = None, leaving: Collection[str] = ()
    ) -> Sequence[tuple[str, int]]:
        return ()
