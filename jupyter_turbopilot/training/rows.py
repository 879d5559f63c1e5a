"""Samples end to end in rows of one length, laid out once in a file: what a whole model learns from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.files import need_room, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from jupyter_turbopilot.prompt.formats import BoundFormat
    from jupyter_turbopilot.training.samples import Sample

LEAST = 32  # tokens before a cursor; a sample that would keep fewer goes into another row
WAITING = 128  # samples that the next one to fit is looked for among


@dataclass(frozen=True)
class Marks:
    """The control tokens: they are not learnt, and they fill a row up."""

    middle: int | None  # what stands before an answer; None: nothing tells where answers are
    suffix: int | None  # what stands before the text behind the cursor
    all: tuple[int, ...]

    @classmethod
    def of(cls, form: BoundFormat, end: int) -> Marks:
        """Return those of a format; without one, the token that ends a text."""
        marks = tuple(sorted(form.markers.values())) or (end,)
        return cls(form.markers.get("middle"), form.markers.get("suffix"), marks)

    def learnt(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which tokens behind the first of each row are learnt: all text, and where an answer ends."""
        learnt: NDArray[np.bool_] = ~np.isin(rows[:, 1:], self.all)
        return learnt

    def answered(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which of them belong to answers, or to the text of a cell that the answer goes on with.

        All of them, where that cannot be told.
        """
        if self.middle is None:
            return self.learnt(rows)
        places = np.where(np.isin(rows, self.all), np.arange(rows.shape[1]), 0)
        last = np.maximum.accumulate(places, axis=1)[:, :-1]
        behind: NDArray[np.bool_] = np.take_along_axis(rows, last, 1) == self.middle
        return behind & self.learnt(rows)


def packed(samples: Iterable[Sample], length: int, marks: Marks) -> Iterator[list[int]]:
    """Put samples one behind the other into rows of `length` tokens and one, cut far from the cursor."""
    coming = ((sample, _before(sample, marks)) for sample in samples)
    waiting = [*islice(coming, WAITING)]
    row: list[int] = []
    while waiting:
        room = length + 1 - len(row)
        fitting = (n for n, (sample, before) in enumerate(waiting) if _fits(sample, room, len(before)))
        if (number := next(fitting, None)) is not None:
            sample, before = waiting.pop(number)
            gone = {*before[: max(0, _size(sample) - room)]}
            row += [token for at, token in enumerate(sample.prompt) if at not in gone]
            row += sample.answer
        elif row:
            yield _filled(row, length, marks)
            row = []
            continue
        else:
            del waiting[0]  # it fits into no row
        waiting += islice(coming, 1)
    if row:
        yield _filled(row, length, marks)


def _before(sample: Sample, marks: Marks) -> list[int]:
    """Return where the tokens of the text before the cursor stand in a prompt."""
    before = []
    is_behind = False
    for at, token in enumerate(sample.prompt):
        if token in marks.all:
            is_behind = token == marks.suffix
        elif not is_behind:
            before.append(at)
    return before


def _size(sample: Sample) -> int:
    return len(sample.prompt) + len(sample.answer)


def _fits(sample: Sample, room: int, before: int) -> bool:
    """Return whether a sample fits whole, or with enough of the text before the cursor."""
    excess = _size(sample) - room
    return excess <= 0 or before - excess >= LEAST


def _filled(row: list[int], length: int, marks: Marks) -> list[int]:
    return row + [marks.all[0]] * (length + 1 - len(row))


@dataclass(frozen=True)
class Rows:
    """Rows in a file, read where they are needed, each epoch in another order."""

    tokens: NDArray[Any]  # rows of `length` tokens and one
    seed: int = 5

    @property
    def length(self) -> int:
        """How many tokens a row teaches."""
        return int(self.tokens.shape[1]) - 1

    def batch(self, step: int, tokens: int) -> NDArray[Any]:
        """Return the rows of a step that learns so many tokens: the same ones whenever it is asked."""
        size = max(1, tokens // self.length)
        epoch, first = divmod(step * size, len(self.tokens))
        order = [*self._order(epoch)[first : first + size]]
        while len(order) < size:  # the next epoch, or several of a small file
            epoch += 1
            order += [*self._order(epoch)[: size - len(order)]]
        return self.tokens[order]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self.seed, epoch)).permutation(len(self.tokens))


def write_rows(path: Path, rows: Iterable[list[int]], vocabulary: int, origin: bytes = b"") -> int:
    """Write rows in the smallest numbers that hold a vocabulary's tokens; return how many there were.

    `origin`: a digest of what they were made of, which stands at the end of the file.
    """
    kind = np.min_scalar_type(vocabulary - 1)
    made = [np.array(row, kind) for row in rows]
    if not made:
        raise TurbopilotError(
            "Nothing of the code fits into the model's context. Give it more, or longer, code."
        )
    table = np.stack(made)
    need_room(path, table.nbytes, TurbopilotError)
    with write_atomically(path, TurbopilotError) as partial, partial.open("wb") as out:
        np.save(out, table)
        out.write(origin)
    return len(made)


def are_of(path: Path, origin: bytes) -> bool:
    """Return whether a file holds the rows that were made of something."""
    try:
        with path.open("rb") as file:
            file.seek(-len(origin), os.SEEK_END)
            return file.read() == origin
    except OSError:
        return False


def read_rows(path: Path) -> Rows:
    """Map a file of rows into memory."""
    return Rows(np.load(path, mmap_mode="r", allow_pickle=False))
