"""The report of a kernel about its last error, or for a check. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Word = Annotated[str, Meta(max_length=512)]
Path = Annotated[str, Meta(max_length=4096)]


class TracebackFrame(msgspec.Struct, frozen=True):
    """A frame of a traceback, with the position of the instruction as in `co_positions`."""

    file: Path
    line: int
    end_line: int | None = None  # None: unknown, as before Python 3.11
    column: int | None = None  # in UTF-8 bytes
    end_column: int | None = None


class ObjectDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A description of an object, without its values."""

    type: Word | None = None  # name of its exact class
    module: Word | None = None  # module of its class
    name: Word | None = None  # full name of a module
    version: Word | None = None  # `__version__` of a module, or of the package of the class
    labels: list[Word] | None = None  # all column labels of a table; None: not a table, or unknown
    rows: int | None = None  # number of rows of a table of pandas; None: unknown
    levels: list[Word] = []  # names of the index levels of a table
    strings: bool = False  # whether a pandas Series contains strings, as far as its first values show
    keys: list[Word] | None = None  # short string keys of an exact dictionary, if these are all its keys
    attributes: list[Word] | None = None  # None: it may compute attributes
    parameters: list[Word] | None = None  # of a function, or of a class's `__init__`
    open: bool = False  # whether it accepts arbitrary keyword arguments
    closed: bool = False  # whether it has no other attributes, columns and parameters than these

    @property
    def is_of_pandas(self) -> bool:
        return (self.module or "").startswith("pandas")


class Record(msgspec.Struct, frozen=True, array_like=True):
    """What a check has to know of an object, besides its description."""

    number: int  # the same for all expressions of one object; -1: the value is computed
    kind: Literal["class", "dict", "member", "module", "other", "plain", "table"]
    is_inert: bool  # whether it runs no code of the user, whatever is done with it
    function: Word  # full name of a function or class in a known library, or an empty string
    size: int  # number of objects that an iteration yields; -1: unknown


class KernelError(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel's last exception, as far as its fields are plain data."""

    type: Word
    name: Word | None = None  # `name` of a NameError, AttributeError or ImportError
    key: Word | None = None  # the key of a KeyError, if it is a string
    path: Path | None = None  # `filename` of a FileNotFoundError
    object: ObjectDescription | None = None  # `obj` of an AttributeError
    frames: list[TracebackFrame] = []  # outermost first


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """The names of the files and folders in a folder; the names of folders end with `/`."""

    path: Path  # relative to the working directory, unless the path in the code is absolute
    names: list[Word]


class KernelReport(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a kernel to a request for fixes, or for a check."""

    error: KernelError | None = None
    objects: dict[Word, ObjectDescription] = {}  # by expression: `frame`, `data.frame`
    # All public names of the namespace, and the locals of the notebook's last frame; for a check, the names
    # of the namespace and of built-in objects.
    names: list[Word] = []
    all: bool = False  # whether `names` is complete
    folders: list[Folder] = []  # near the path of a FileNotFoundError; the working folder of an ImportError
    # For a check:
    executions: int | None = None  # number of executed cells; None: unknown
    folder: Path = ""  # the working folder
    folder_id: Word = ""  # distinguishes it from one of another machine
    records: dict[
        Word, Record
    ] = {}  # by expression, or by `import name` for an imported module and its parts
    alone: bool = False  # whether no other thread, task or hook runs code of the user
    extended: bool = True  # whether classes of tables may have methods and accessors of the user
    # Aliases of commands, and magics that are not those of IPython; whether they run code of the user.
    commands: dict[Word, bool] = {}
    reloads: bool = False  # whether IPython loads changed modules again before it runs a cell


NONE = KernelReport()


def read_report(data: Any) -> KernelReport:
    """Parse a kernel's answer; invalid data gives an empty report."""
    try:
        return msgspec.convert(data, KernelReport)
    except msgspec.ValidationError:
        return NONE
