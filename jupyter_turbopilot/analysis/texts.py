"""Texts that a kernel or its folder has: values of a column, labels, keys, file names, headers. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["values", "labels", "keys", "files", "header"]


class Readable(NamedTuple):
    """What can be read: in the kernel by an expression, or in its folder by a path."""

    kind: Kind
    code: str
    separator: str = ""  # of the columns in a header


class Texts(NamedTuple):
    """Texts that were read."""

    texts: tuple[str, ...] = ()
    all: bool = False  # whether there are no others, as far as a sample shows
    whole: bool = False  # whether all values were read, and not a sample


def values_of_column(table: str, label: str) -> Readable:
    """Return the values of a column of the table in an expression."""
    return Readable("values", f"{table}[{label!r}]")
