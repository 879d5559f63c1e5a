"""The texts that were read from a kernel and its folder, until its next execution."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_turbopilot.analysis.texts import Texts
from jupyter_turbopilot.context.private import looks_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.analysis.texts import Readable

MOST = 200  # readings that are kept
MOST_ASKED = 7  # of a query, beside the place at the cursor


class KernelTexts:
    """The texts so far. Any thread may look one up, and so ask for it."""

    def __init__(self, may_ask: Callable[[], bool]) -> None:
        """`may_ask`: whether the kernel can answer at the moment."""
        self._may_ask = may_ask
        self._found: dict[Readable, Texts | None] = {}
        self._wanted: dict[Readable, None] = {}
        self._asked: set[Readable] = set()  # texts that were wanted and taken
        self.changes = 0  # how often everything was forgotten

    def find(self, readable: Readable) -> Texts | None:
        return self._found.get(readable)

    def is_awaited(self, readable: Readable) -> bool:
        if self.is_answered(readable) or not self._may_ask():
            return False
        self._wanted[readable] = None
        return readable not in self._asked  # a late answer delays only one suggestion

    def is_answered(self, readable: Readable) -> bool:
        """Return whether it was read, or cannot be."""
        return readable in self._found

    def take_wanted(self) -> list[Readable]:
        """Return what was looked up and is not known yet, and forget that."""
        wanted = [readable for readable in [*self._wanted][-MOST_ASKED:] if not self.is_answered(readable)]
        self._wanted.clear()
        self._asked.update(wanted)
        return wanted

    def learn(self, readable: Readable, texts: Texts | None, changes: int) -> None:
        """Keep texts that were read after a number of changes, unless there were more since."""
        if changes == self.changes:
            if len(self._found) >= MOST:
                self._found.clear()
            self._found[readable] = texts and without_secrets(readable, texts)

    def forget(self) -> None:
        """Read all again: any object and any file may have changed."""
        self.changes += 1
        self._found.clear()
        self._wanted.clear()
        self._asked.clear()


def without_secrets(readable: Readable, texts: Texts) -> Texts:
    """Return the texts without those that look like secrets, values beside the name of their column."""
    name = f"{readable.code} = " if readable.kind == "values" else ""
    kept = tuple(text for text in texts.texts if not looks_secret(f'{name}"{text}"'))
    return texts._replace(texts=kept, all=texts.all and len(kept) == len(texts.texts))


def read_texts(data: Any, asked: Sequence[Readable]) -> dict[Readable, Texts | None]:
    """Parse a kernel's answer; what it lacks cannot be read, so that it is not asked again."""
    answers: list[Texts | None] = []
    with suppress(AttributeError, msgspec.ValidationError):
        answers = msgspec.convert(data.get("texts"), list[Texts | None])
    return {**dict.fromkeys(asked), **dict(zip(asked, answers, strict=False))}
