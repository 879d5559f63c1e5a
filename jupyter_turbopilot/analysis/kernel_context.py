"""Kernel context: columns, signatures and attributes of a running kernel's names, no values. Pure.

A prompt contains only the columns of tables. The rest constrains and filters suggestions.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from itertools import islice
from typing import Annotated, Any

import msgspec
from msgspec import Meta

MAX_FRAMES, MAX_COLUMNS = 3, 24
NEAR = 3000  # characters above the cell that are most likely part of the prompt
_WORDS, _NAMES = re.compile(r"\w+"), re.compile(r"[^\W\d]\w*+")
_Word = Annotated[str, Meta(max_length=512)]
_Folder = Annotated[str, Meta(max_length=1024)]


class ObjectInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Description of the object after a name."""

    type: _Word | None = None
    module: _Word | None = None
    name: _Word | None = None  # full name of a module
    columns: list[_Word] | None = None
    all: bool = False  # whether `columns` is complete
    levels: list[_Word] = []  # names of the levels of the index
    parameters: list[_Word] | None = None
    positional: int = 0
    open: bool = False  # whether it accepts arbitrary keyword arguments
    attributes: frozenset[_Word] | None = None  # None: it may compute attributes


class Modules(msgspec.Struct, frozen=True):
    """The module search path of a kernel."""

    path: tuple[_Folder, ...] = ()
    here: tuple[_Folder, ...] = ()  # entries of `path` that depend on the working folder
    folder: _Folder = ""  # the working folder
    folder_id: _Word = ""  # its device and number on that
    builtin: frozenset[_Word] = frozenset()  # modules built into the interpreter
    suffixes: tuple[_Word, ...] = ()  # file name endings of compiled modules


class KernelContext(msgspec.Struct, frozen=True):
    """The context of a kernel after its last execution, newest names first."""

    names: dict[_Word, ObjectInfo] = {}
    all: bool = False  # whether `names` is complete
    modules: Modules = Modules()
    digest: str = ""  # of names and columns, the same in every process

    @property
    def frames(self) -> dict[str, ObjectInfo]:
        """The names of tables."""
        return {name: fact for name, fact in self.names.items() if fact.columns is not None}


NONE = KernelContext()


def read_kernel_context(data: Any) -> KernelContext:
    """Parse a kernel's answer; invalid data gives an empty context."""
    try:
        kernel_context = msgspec.convert(data, KernelContext)
    except msgspec.ValidationError:
        return NONE
    # Digest the data as sent: names in prompt order, attributes sorted by the probe.
    known = repr((kernel_context.all, data.get("names"))).encode("utf-8", "surrogatepass")
    return msgspec.structs.replace(kernel_context, digest=blake2b(known, digest_size=16).hexdigest())


def describe(kernel_context: KernelContext, source: str) -> str:
    """Describe tables by their columns, as comments; tables that the notebook uses come first.

    `source` is the text above the active cell, so that the description does not change while the user types.
    """
    if not kernel_context.frames:
        return ""
    used = set(_NAMES.findall(source))
    near = frozenset(_WORDS.findall(source[-NEAR:]))
    ordered = sorted(kernel_context.frames.items(), key=lambda pair: pair[0] not in used)
    lines = (f"# {name}: {words}\n" for name, table in ordered if (words := _columns(table, near)))
    return "".join(islice(lines, MAX_FRAMES))


def _columns(table: ObjectInfo, near: frozenset[str]) -> str:
    """Describe the columns that are not already in the prompt."""
    labels = [label for label in table.columns or () if not near.issuperset(_WORDS.findall(label))]
    if not labels:
        return ""
    words = ", ".join(label if label.isprintable() else repr(label) for label in labels[:MAX_COLUMNS])
    return f"{table.type} with {words}" + (", …" if len(labels) > MAX_COLUMNS else "")
