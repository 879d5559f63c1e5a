"""Concatenate samples to rows of one length in a file, for training whole models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.util.files import need_room, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from jupyter_turbopilot.prompt.formats import BoundFormat
    from turbopilot_research.train.samples import Sample

LEAST = 32  # minimum tokens before a cursor; otherwise the sample goes into another row
WAITING = 128  # number of samples to choose the next one from


@dataclass(frozen=True)
class Marks:
    """The control tokens: excluded from the loss, and used as padding."""

    middle: int | None  # the token before an answer; None: answers are not marked
    suffix: int | None  # the token before the text after the cursor
    all: tuple[int, ...]

    @classmethod
    def of(cls, form: BoundFormat, end: int) -> Marks:
        """Return a format's control tokens; without any, the end token."""
        marks = tuple(sorted(form.markers.values())) or (end,)
        return cls(form.markers.get("middle"), form.markers.get("suffix"), marks)

    def learnt(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which tokens after the first of each row count in the loss: text and the ends of answers."""
        learnt: NDArray[np.bool_] = ~np.isin(rows[:, 1:], self.all)
        return learnt

    def answered(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which of them belong to answers, or to the text of the cell before the cursor.

        Without a middle marker, return all of them.
        """
        if self.middle is None:
            return self.learnt(rows)
        positions = np.where(np.isin(rows, self.all), np.arange(rows.shape[1]), 0)
        last = np.maximum.accumulate(positions, axis=1)[:, :-1]
        after_middle: NDArray[np.bool_] = np.take_along_axis(rows, last, 1) == self.middle
        return after_middle & self.learnt(rows)


def pack_samples(samples: Iterable[Sample], length: int, marks: Marks) -> Iterator[list[int]]:
    """Concatenate samples to rows of `length` + 1 tokens; truncate them far from the cursor."""
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
            del waiting[0]  # too long for any row
        waiting += islice(coming, 1)
    if row:
        yield _filled(row, length, marks)


def _before(sample: Sample, marks: Marks) -> list[int]:
    """Return the positions of the tokens before the cursor in a prompt."""
    before = []
    after_suffix = False
    for at, token in enumerate(sample.prompt):
        if token in marks.all:
            after_suffix = token == marks.suffix
        elif not after_suffix:
            before.append(at)
    return before


def _size(sample: Sample) -> int:
    return len(sample.prompt) + len(sample.answer)


def _fits(sample: Sample, room: int, before: int) -> bool:
    """Return whether a sample fits whole or with enough text before the cursor."""
    excess = _size(sample) - room
    return excess <= 0 or before - excess >= LEAST


def _filled(row: list[int], length: int, marks: Marks) -> list[int]:
    return row + [marks.all[0]] * (length + 1 - len(row))


@dataclass(frozen=True)
class Rows:
    """Rows in a file, memory-mapped, in a different order each epoch."""

    tokens: NDArray[Any]  # rows of `length` + 1 tokens
    seed: int = 5

    @property
    def length(self) -> int:
        """The number of target tokens of a row."""
        return int(self.tokens.shape[1]) - 1

    def batch(self, step: int, tokens: int) -> NDArray[Any]:
        """Return the rows of a step of about `tokens` tokens, deterministically."""
        size = max(1, tokens // self.length)
        epoch, first = divmod(step * size, len(self.tokens))
        order = [*self._order(epoch)[first : first + size]]
        while len(order) < size:  # from the next epoch, or several with a small file
            epoch += 1
            order += [*self._order(epoch)[: size - len(order)]]
        return self.tokens[order]

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng((self.seed, epoch)).permutation(len(self.tokens))


def write_rows(path: Path, rows: Iterable[list[int]], vocabulary: int, origin: bytes = b"") -> int:
    """Write rows with the smallest integer type for the vocabulary; return their number.

    `origin` is a digest of their source, stored at the end of the file.
    """
    kind = np.min_scalar_type(vocabulary - 1)
    made = [np.array(row, kind) for row in rows]
    if not made:
        raise TurbopilotError("No sample of the code fits into the model's context. Add more or longer code.")
    table = np.stack(made)
    need_room(path, table.nbytes, TurbopilotError)
    with write_atomically(path, TurbopilotError) as partial, partial.open("wb") as out:
        np.save(out, table)
        out.write(origin)
    return len(made)


def have_origin(path: Path, origin: bytes) -> bool:
    """Return whether a file contains the rows of this origin."""
    try:
        with path.open("rb") as file:
            file.seek(-len(origin), os.SEEK_END)
            return file.read() == origin
    except OSError:
        return False


def read_rows(path: Path) -> Rows:
    """Memory-map a file of rows."""
    return Rows(np.load(path, mmap_mode="r", allow_pickle=False))
