"""An index with scripted results."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from jupyter_turbopilot.index.base import Continuation
from jupyter_turbopilot.index.reader import NotebookIndex
from jupyter_turbopilot.protocol.request import Document


def sighting(
    rest: str, documents: int = 3, *, above: bool = False, times: int = 0, imports: float = 1.0
) -> Continuation:
    return Continuation(
        rest, times=times or documents, documents=documents, above=above, days=1.0, imports=imports
    )


@dataclass(eq=False)
class FakeIndex(NotebookIndex):
    """`lines`: indexed lines with their matches; `documents`: the entries that follow any cell."""

    lines: dict[str, Continuation] = field(default_factory=dict)
    documents: list[Document] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    asked: list[str] = field(default_factory=list)
    wanted: list[tuple[frozenset[str], ...]] = field(default_factory=list)
    left: list[frozenset[str]] = field(default_factory=list)

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

    def following(
        self,
        language: str,
        above: Sequence[Collection[str]],
        *,
        leaving: Collection[str],
        here: Callable[[str], bool] = lambda _: False,
    ) -> Sequence[Document]:
        self.before()
        self.wanted.append(tuple(map(frozenset, above)))
        self.left.append(frozenset(leaving))
        return [one for one in self.documents if one.path not in leaving and not here(one.source)]

    def there(self, paths: Collection[str]) -> Collection[str]:
        return {one.path for one in self.documents} & {*paths}

    def imports(
        self, name: str, *, folder: str | None = None, leaving: Collection[str] = ()
    ) -> Sequence[tuple[str, int]]:
        return ()
