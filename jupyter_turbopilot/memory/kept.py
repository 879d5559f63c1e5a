"""The memory of one root folder: an index that is kept up to date, and asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.memory.build import Builder
from jupyter_turbopilot.memory.places import place_of
from jupyter_turbopilot.memory.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.engine.effort import Pause
    from jupyter_turbopilot.memory.base import Sighting
    from jupyter_turbopilot.memory.source import Source
    from jupyter_turbopilot.request import Document


class KeptMemory:
    """What is remembered of a source. `pause` and `asked` say when nothing may be read (`Builder`)."""

    def __init__(
        self,
        source: Source,
        *,
        pause: Callable[[], Pause | None] = lambda: None,
        asked: Callable[[], int] = lambda: 0,
    ) -> None:
        self.source = source
        self.builder = Builder(place_of(source.identity), source, pause=pause, asked=asked)
        self._reader = Reader(self.builder.place, self._on_the_disk)

    def continuations(
        self, language: str, begun: str, above: str, *, path: str, modules: Collection[str]
    ) -> Sequence[Sighting]:
        """Return how a line that begins so goes on in other documents than `path`, likeliest first."""
        return self._reader.continuations(language, begun, above, path=path, modules=modules)

    def following(
        self,
        language: str,
        above: Sequence[Collection[str]],
        *,
        leaving: Collection[str],
        here: Callable[[str], bool] = lambda _: False,
    ) -> Sequence[Document]:
        """Return what follows cells and blocks like those above, likeliest first, outside `leaving`."""
        return self._reader.following(language, above, leaving=leaving, here=here)

    def there(self, paths: Collection[str]) -> Collection[str] | None:
        """Return those of the paths that are still remembered; None where that is not known now."""
        return self._reader.there(paths)

    def imports(
        self, name: str, *, folder: str | None = None, leaving: Collection[str] = ()
    ) -> Sequence[tuple[str, int]]:
        """Return the import lines that bind a name, with the number of documents of each; the most first."""
        return self._reader.imports(name, folder=folder, leaving=leaving)

    def close(self) -> None:
        """End."""
        self.builder.close()
        self._reader.close()

    def _on_the_disk(self, paths: Iterable[str]) -> AbstractSet[str]:
        """Return the paths that are there; where that takes too long, as far as was seen lately."""
        seen_lately = self.builder.used()
        certain = [path for path in paths if not self.builder.may_be_gone(path)]
        return self.source.there(certain, otherwise=seen_lately)
