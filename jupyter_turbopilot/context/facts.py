"""What a live kernel knows about its names: types, columns, signatures, attributes; never values. Pure."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from msgspec import Meta

MAX_FRAMES, MAX_ARRAYS, MAX_FUNCTIONS, MAX_COLUMNS = 3, 6, 6, 24
NEAR = 3000  # characters above the cell that are most likely in the prompt
_WORDS, _NAMES = re.compile(r"\w+"), re.compile(r"[^\W\d]\w*+")
_DEFINED = re.compile(r"def (\w++)\(")
_Word = Annotated[str, Meta(max_length=512)]
_Folder = Annotated[str, Meta(max_length=1024)]
_ARRAYS = {"ndarray", "Tensor", "Series"}


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about the object behind a name."""

    type: _Word | None = None
    module: _Word | None = None
    name: _Word | None = None  # of a module: its full name
    columns: list[tuple[_Word, _Word]] | None = None
    all: bool = False  # whether these are all of its columns
    shape: list[int] = []
    dtype: _Word | None = None
    parameters: list[_Word] | None = None
    positional: int = 0
    open: bool = False  # whether it accepts any keyword
    attributes: frozenset[_Word] | None = None  # None: it may compute others


class Modules(msgspec.Struct, frozen=True):
    """Where a kernel finds the modules that it can import. No model gets it."""

    path: tuple[_Folder, ...] = ()  # its search path
    here: tuple[_Folder, ...] = ()  # what of it depends on the folder that it runs in
    builtin: frozenset[_Word] = frozenset()  # modules that are in the interpreter itself
    suffixes: tuple[_Word, ...] = ()  # how the names of its compiled modules end


class Facts(msgspec.Struct, frozen=True):
    """What is known about a kernel after its last execution, the newest names first."""

    names: dict[_Word, Fact] = {}
    all: bool = False  # whether these are all of its names
    modules: Modules = Modules()
    digest: str = ""  # of all that is known, the same in every process

    @property
    def frames(self) -> dict[str, Fact]:
        """The names of tables."""
        return {name: fact for name, fact in self.names.items() if fact.columns is not None}


NONE = Facts()


def read_facts(data: Any) -> Facts:
    """Read what a kernel sent; anything that does not fit the schema counts as no facts."""
    try:
        facts = msgspec.convert(data, Facts)
    except msgspec.ValidationError:
        return NONE
    # As it was sent: names in the order that the model sees, a class's attributes sorted by the probe.
    known = repr((facts.all, data.get("names"))).encode("utf-8", "surrogatepass")
    return msgspec.structs.replace(facts, digest=blake2b(known, digest_size=16).hexdigest())


def describe(facts: Facts, source: str) -> str:
    """Describe the facts that help a model, as comments; names that the notebook uses come first.

    `source` is the text above the active cell, so that the description stays the same while the user types.
    """
    if not facts.names:
        return ""
    used = set(_NAMES.findall(source))
    defined = set(_DEFINED.findall(source))  # the prompt has their signatures already
    near = frozenset(_WORDS.findall(source[-NEAR:]))
    ordered = sorted(facts.names.items(), key=lambda pair: pair[0] not in used)
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


def _frame(fact: Fact, near: frozenset[str]) -> str:
    """Describe the columns that are not in the prompt already."""
    columns = [pair for pair in fact.columns or () if not near.issuperset(_WORDS.findall(pair[0]))]
    if not columns:
        return ""
    words = ", ".join(f"{_on_a_line(label)} {kind}" for label, kind in columns[:MAX_COLUMNS])
    return f"{fact.type} with {words}" + (", …" if len(columns) > MAX_COLUMNS else "")


def _on_a_line(label: str) -> str:
    """Return a label that cannot end the comment it stands in."""
    return label if label.isprintable() else repr(label)
