"""First mentions of table columns: a measure of what kernel context contributes. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from turbopilot_research.evaluate.traces import Keystroke

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from turbopilot_research.evaluate.notebooks import TypedNotebook

SHORTEST = 4  # characters of a label: the rest of a shorter one is not worth a keystroke
_CAPTION = re.compile(r"(?:label|title|legend|text|print|annotate)\w{0,20}\([^)\n]*\Z")


@dataclass(frozen=True)
class Mention:
    """The first mention of a column in a notebook."""

    label: str
    keystroke: Keystroke  # before its first character

    def typed(self, characters: int) -> Keystroke:
        """Return the keystroke after some of its characters."""
        return self.keystroke.accepting(self.label[:characters])


def first_mentions(notebook: TypedNotebook, active: int, context: KernelContext) -> Iterator[Mention]:
    """Yield the columns that a cell mentions and the notebook does not contain above."""
    source = notebook.sources[active]
    above = "\n".join(notebook.sources[:active])
    labels = {label for table in context.frames.values() for label in table.columns or ()}
    for label in sorted(labels):
        match = re.search(rf"(?:(?<=[^\\]['\"])|(?<=\w\.)){re.escape(label)}(?!\w)", source)
        if len(label) < SHORTEST or label in above or not match or source.find(label) < match.start():
            continue
        start = match.start()
        if not _CAPTION.search(source, 0, start):
            cells, types = (*notebook.sources[:active], source[:start]), notebook.types[: active + 1]
            yield Mention(label, Keystroke(cells, types, active, start, source[start:], start))
