"""Kernel context: types, columns, signatures and attributes of a running kernel's names, no values. Pure."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from msgspec import Meta

MAX_FRAMES, MAX_ARRAYS, MAX_FUNCTIONS, MAX_COLUMNS = 3, 6, 6, 24
NEAR = 3000  # characters above the cell that are most likely part of the prompt
_WORDS, _NAMES = re.compile(r"\w+"), re.compile(r"[^\W\d]\w*+")
_DEFINED = re.compile(r"def (\w++)\(")
_Word = Annotated[str, Meta(max_length=512)]
_Folder = Annotated[str, Meta(max_length=1024)]
_ARRAYS = {"ndarray", "Tensor", "Series"}


class ObjectInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Description of the object after a name."""

    type: _Word | None = None
    module: _Word | None = None
    name: _Word | None = None  # full name of a module
    columns: list[tuple[_Word, _Word]] | None = None
    all: bool = False  # whether `columns` is complete
    levels: list[_Word] = []  # names of the levels of the index
    shape: list[int] = []
    dtype: _Word | None = None
    parameters: list[_Word] | None = None
    positional: int = 0
    open: bool = False  # whether it accepts arbitrary keyword arguments
    attributes: frozenset[_Word] | None = None  # None: it may compute attributes


class Modules(msgspec.Struct, frozen=True):
    """The module search path of a kernel. It is never part of a prompt."""

    path: tuple[_Folder, ...] = ()
    here: tuple[_Folder, ...] = ()  # entries of `path` that depend on the working folder
    builtin: frozenset[_Word] = frozenset()  # modules built into the interpreter
    suffixes: tuple[_Word, ...] = ()  # file name endings of compiled modules


class KernelContext(msgspec.Struct, frozen=True):
    """The context of a kernel after its last execution, newest names first."""

    names: dict[_Word, ObjectInfo] = {}
    all: bool = False  # whether `names` is complete
    modules: Modules = Modules()
    digest: str = ""  # of the whole content, the same in every process

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
    """Describe the objects that are useful to a model, as comments; names that the notebook uses come first.

    `source` is the text above the active cell, so that the description does not change while the user types.
    """
    if not kernel_context.names:
        return ""
    used = set(_NAMES.findall(source))
    defined = set(_DEFINED.findall(source))  # their signatures are already in the prompt
    near = frozenset(_WORDS.findall(source[-NEAR:]))
    ordered = sorted(kernel_context.names.items(), key=lambda pair: pair[0] not in used)
    frames = [f"# {name}: {words}" for name, fact in ordered if (words := _frame(fact, near))]
    arrays = [
        f"# {name}: {fact.type} {tuple(fact.shape)} {fact.dtype}"
        for name, fact in ordered
        if fact.columns is None and fact.dtype and fact.type in _ARRAYS
    ]
    functions = [
        f"# {name}({', '.join(fact.parameters)})"
        for name, fact in ordered
        if fact.parameters is not None
        and fact.module == "builtins"
        and fact.type == "function"
        and name not in defined
    ]
    lines = [*frames[:MAX_FRAMES], *arrays[:MAX_ARRAYS], *functions[:MAX_FUNCTIONS]]
    return "".join(f"{line}\n" for line in lines)


def _frame(fact: ObjectInfo, near: frozenset[str]) -> str:
    """Describe the columns that are not already in the prompt."""
    columns = [pair for pair in fact.columns or () if not near.issuperset(_WORDS.findall(pair[0]))]
    if not columns:
        return ""
    words = ", ".join(f"{_on_a_line(label)} {kind}" for label, kind in columns[:MAX_COLUMNS])
    return f"{fact.type} with {words}" + (", …" if len(columns) > MAX_COLUMNS else "")


def _on_a_line(label: str) -> str:
    """Return a label without line breaks, for use in a comment."""
    return label if label.isprintable() else repr(label)
