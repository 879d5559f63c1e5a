"""What is asked of the memory, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from jupyter_turbopilot.request import Document


MOST_ABOVE = 6  # cells above the active one by which what follows is looked for


@dataclass(frozen=True)
class Sighting:
    """One way in which a line goes on in what the person wrote before."""

    rest: str  # what follows on the line
    times: int  # how often it stands there
    documents: int  # in how many documents
    above: bool  # whether the line before it is the same, too
    modified: float  # when the newest of these documents was changed (time.time())
    imports: float  # share of the asking notebook's imported modules that these documents import, too


class Memory(Protocol):
    """What is remembered of the person's own code.

    Called on the worker's threads; each answers in a few milliseconds.
    """

    def continuations(
        self, language: str, begun: str, above: str, *, path: str, modules: Collection[str]
    ) -> Sequence[Sighting]:
        """Return how a line that begins so goes on in other documents than `path`, likeliest first.

        `above` is the line before it, `modules` what the asking notebook imports.
        """

    def following(
        self,
        language: str,
        above: Sequence[Collection[str]],
        *,
        leaving: Collection[str],
        here: Callable[[str], bool] = lambda _: False,
    ) -> Sequence[Document]:
        """Return what follows cells and blocks like those above, likeliest first.

        `above` has the words of each, of the nearest first. Other paths than `leaving` are looked at; `here`
        tells of a text whether who asks has it already.
        """

    def there(self, paths: Collection[str]) -> Collection[str] | None:
        """Return those of the paths that are still remembered; None where that is not known now."""

    def imports(
        self, name: str, *, folder: str | None = None, leaving: Collection[str] = ()
    ) -> Sequence[tuple[str, int]]:
        """Return the import lines that bind a name, with the number of documents of each; the most first.

        `folder` leaves out documents in others; "." is the root folder. Those at `leaving` do not count.
        """
