"""Runs inside the user's kernel: describes its names without running any of the user's code.

The kernel receives the text of this file. It need not have this package, and may run an older Python.
Objects are identified by their exact class, found in modules that are already imported. Only data is read:
class dictionaries, instance dictionaries, and values that classes written in C expose through descriptors.
The user's properties, methods, metaclasses and keys are never called, compared, hashed or converted to text.
A dictionary that may hold foreign keys is never searched directly: its plain keys are copied first. The
amount of work is bounded, also in time, so that the kernel is soon ready again.

Values are not part of the context. A query may read texts instead: the different strings of a column, if they
are few, the labels of an index, or the keys of a dictionary.

After an error, a query may name expressions. The answer then also has a report: the fields of the error that
are plain data, descriptions of these expressions, and the names of files near a missing file. A description
contains the number of rows, and whether the first values of a column are strings. A check of a cell before
its execution names expressions, too; its report is only about the namespace, and not about an error.
"""

import _thread
import ast
import builtins
import functools
import gc
import math
import os
import re
import stat
import sys
import types
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from contextlib import suppress
from importlib.machinery import EXTENSION_SUFFIXES
from itertools import islice
from time import thread_time
from typing import Any, Dict, Iterator, List, Optional, Tuple

SECONDS = 0.008  # CPU time; after that, objects are listed but no longer inspected
MOST_NAMES, MOST_LOOKED_AT, MOST_ATTRIBUTES, MOST_COLUMNS = 200, 5000, 1500, 200
MOST_BYTES, MOST_FOLDERS, LONGEST_FOLDER, MOST_BUILTIN = 128 * 1024, 64, 1024, 256
LONGEST = 120
REPORT_SECONDS, MOST_REPORT_BYTES, MOST_WANTED, MOST_WRAPPERS = 0.05, 256 * 1024, 100, 8
MOST_LABELS, MOST_LABEL_BYTES, LONGEST_LABEL, MOST_LEVELS, MOST_KEYS = 10_000, 256 * 1024, 512, 32, 1000
MOST_FRAMES, MOST_STEPS, LONGEST_PATH = 30, 100_000, 4096
MOST_NEAR, MOST_FILES, MOST_AROUND, MOST_VALUES = 3, 500, 100, 100
MOST_MISSING, MOST_MOUNTS = 16, 64 * 1024  # missing folders of a path; characters of the list of mounts
# For texts: queries, rows that are read, in so many pieces; different values, labels or keys; characters.
MOST_READ, MOST_ROWS, MOST_PIECES, MOST_DIFFERENT, MOST_TEXTS, LONGEST_TEXT = 8, 10_000, 200, 100, 1000, 80
MOST_ROW_BYTES, MOST_CHUNKS = 400, 500  # on average: longer values take time, and are no categories
FEW_ROWS = 200  # in more rows, a value that occurs once may identify a person
MOST_CODE = 100_000  # bytes of code before an instruction whose columns are looked up
# For a check: expressions, objects that are walked from one of them, and elements of containers in all.
MOST_TRACED, MOST_WALKED, MOST_ELEMENTS = 300, 2000, 300_000
# Names that IPython puts into every namespace. Other names hidden from `%who` come from startup files.
_SHELLS = ("In", "Out", "exit", "get_ipython", "open", "quit")

_class_dict = type.__dict__["__dict__"].__get__
_mro = type.__dict__["__mro__"].__get__
_class_name = type.__dict__["__name__"].__get__
_static_module = type.__dict__["__module__"].__get__
_flags = type.__dict__["__flags__"].__get__
_module_dict = vars(types.ModuleType)["__dict__"].__get__
_HEAP, _IMMUTABLE = 1 << 9, 1 << 8  # a class defined in Python has the first flag and never the second
_IN_C = (types.GetSetDescriptorType, types.MemberDescriptorType, types.MethodDescriptorType)
_PLAIN = (int, float, complex, bool, str, bytes, list, tuple, dict, set, frozenset, type(None))
_ATOMS = frozenset(map(id, (int, float, complex, bool, str, bytes, range, type(None), type(...))))
_FUNCTION_OPEN, _OPTIMIZED = 8, 1  # CO_VARKEYWORDS, CO_OPTIMIZED
_MISSING: Any = object()

_KNOWN = {
    "pandas": ("Categorical", "CategoricalDtype", "DataFrame", "Series", "Index"),
    "pandas._libs.internals": ("BlockPlacement",),
    "pandas.arrays": ("ArrowStringArray", "DatetimeArray", "StringArray"),
    "pandas.core.groupby": ("DataFrameGroupBy", "SeriesGroupBy"),
    "pandas.core.resample": ("DatetimeIndexResampler", "PeriodIndexResampler", "TimedeltaIndexResampler"),
    "pandas.core.window": ("Expanding", "Rolling"),
    "polars": ("DataFrame", "Series"),
    "polars._plr": ("PyDataFrame", "PySeries"),
    "polars.polars": ("PyDataFrame", "PySeries"),  # before polars 1.33
    "numpy": ("ndarray",),
    "numpy._core._multiarray_umath": ("_ArrayFunctionDispatcher",),
    "numpy.core._multiarray_umath": ("_ArrayFunctionDispatcher",),  # before NumPy 2
    "pyarrow.lib": ("ChunkedArray", "DataType"),
}  # fmt: skip
# The C arrays in the extension arrays of pandas.
_INNER = {"ArrowStringArray": "_pa_array", "DatetimeArray": "_ndarray", "StringArray": "_ndarray"}
# For a check: the packages and modules whose functions run no other Python code than that of these, unless
# they are given some.
_LISTED = frozenset(
    """
    IPython.core.display IPython.core.display_functions IPython.lib.display matplotlib numpy pandas plotly
    polars pyarrow scipy seaborn sklearn tqdm
    __future__ _collections _csv _decimal _functools _io _json _operator _random _struct _thread abc
    array base64 bisect builtins calendar cmath collections contextlib copy csv dataclasses datetime decimal
    difflib enum fractions functools genericpath glob gzip hashlib heapq html io itertools json locale math
    numbers operator os pathlib posix posixpath nt ntpath pprint random re secrets shutil statistics string
    struct tempfile textwrap time types typing unicodedata urllib.parse uuid warnings zipfile zlib
    zoneinfo
""".split()
)
# Their functions that run code which they read or import, look up any name, change names or attributes, or
# wait while other code may run.
_NOT_INERT = frozenset(
    """
    builtins.__import__ builtins.breakpoint builtins.compile builtins.delattr builtins.eval builtins.exec
    builtins.getattr builtins.globals builtins.hasattr builtins.help builtins.input builtins.locals
    builtins.setattr builtins.vars operator.attrgetter operator.methodcaller time.sleep typing.get_type_hints
""".split()
)
_NOT_INERT_IN = {
    **dict.fromkeys(("nt", "os", "posix"), frozenset(
        """_exit abort execv execve fork forkpty kill killpg popen posix_spawn posix_spawnp register_at_fork
        system wait wait3 wait4 waitid waitpid""".split()
    )),
    "matplotlib": frozenset(("connect", "disconnect", "ginput", "pause", "waitforbuttonpress")),
    "numpy": frozenset(("load",)),
    "pandas": frozenset(("eval", "read_pickle", "register_dataframe_accessor")),
    "polars": frozenset(("deserialize",)),
    "tqdm": frozenset(("pandas",)),
}  # fmt: skip
_UNNAMED: Any = (  # their classes are in no module
    {}.keys(), {}.values(), {}.items(), iter({}), iter([]), iter(()), iter(set()), iter(""), iter(b""),
    iter(range(0)), types.MappingProxyType({}),
)  # fmt: skip
# Built-in classes whose objects hold code that runs when they are used.
_CODE = frozenset(map(id, (classmethod, property, staticmethod, super)))
_CALLABLE_OF_C = ("_ArrayFunctionDispatcher", "_lru_cache_wrapper", "cython_function_or_method", "ufunc")
# Classes whose objects hide others from the garbage collector.
_HIDING = ("numpy.broadcast", "numpy.flatiter", "numpy.nditer", "numpy.void")
_ACCESSORS = ("Accessor", "CachedAccessor", "NameSpace")  # of pandas and polars
_HOST_THREADS = ("IPython.core.history", "debugpy", "ipykernel.", "tornado.", "tqdm.", "zmq.")
_HOSTS = ("IPython", "debugpy", "ipykernel", "jupyter_client", "tornado", "zmq")  # of threads and tasks
_MAGIC_ALIASES = ("HTML", "SVG", "ed", "file", "hist", "rep")  # those of IPython
_Found = Optional[Tuple[List[str], bool, bool]]  # see `_TextLook.read`
# Operators and built-in functions are applied to these objects; other classes could define them in Python.
_IN_C_ALONE = ("ndarray", "ChunkedArray", "DataType")
_DICTS = (dict, OrderedDict, defaultdict)


def _is_one_of(value: Any, kinds: Any) -> bool:
    return any(value is kind for kind in kinds)  # `in` might ask a metaclass


def _text(value: Any, most: int = LONGEST) -> Optional[str]:
    """Return the value if it is a plain, short string that can be encoded."""
    if type(value) is not str or len(value) > most:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def _is_public(name: str) -> bool:
    return not name.startswith("_") and len(name) <= LONGEST and name.isidentifier()


def _plain(mapping: Any, most: int = MOST_LOOKED_AT) -> Dict[str, Any]:
    """Copy a dictionary without keys other than plain strings: lookups in the copy run no user code."""
    # The items of an ordered dictionary look up each key.
    items = dict.items(mapping) if type(mapping) is OrderedDict else mapping.items()
    return {key: value for key, value in islice(items, most) if type(key) is str}


def _words(names: Any) -> Optional[List[str]]:
    """Return the public names; None if there are too many."""
    public = sorted(filter(_is_public, names))
    return public if len(public) <= MOST_ATTRIBUTES else None


def _merge_names(words: Optional[List[str]], own: Any) -> Optional[List[str]]:
    """Merge the names of an object and of its class; None if either is unknown."""
    further = None if own is None else _words(own)
    if words is None or further is None:
        return None
    return sorted({*words, *further}) if further else words


def _is_fixed(kind: Any) -> bool:
    """Return whether a class is written in C and cannot be changed by Python code."""
    return bool(_flags(kind) & (_HEAP | _IMMUTABLE) != _HEAP)


def _is_native(member: Any, kind: Any, name: str) -> bool:
    """Return whether a class attribute is C code that belongs to this very class."""
    if _is_fixed(kind):
        return True
    return _is_one_of(type(member), _IN_C) and member.__objclass__ is kind and member.__name__ == name


class _Look:
    """One inspection of a namespace, with a cache of class information.

    `full`: for a report, which needs more about fewer objects.
    """

    def __init__(self, *, full: bool = False) -> None:
        self.end = thread_time() + (REPORT_SECONDS if full else SECONDS)
        self._full = full
        self._namespace: Any = None  # for a check, whose cell binds names in it
        self._label_bytes = MOST_LABEL_BYTES
        self._classes: Dict[int, Dict[str, Any]] = {}
        self._getters: Dict[Tuple[int, str], Any] = {}
        self._class_words: Dict[int, Tuple[Optional[List[str]], bool]] = {}
        modules = _plain(_module_dict(sys)).get("modules")
        self.loaded = _plain(modules, 100_000) if type(modules) is dict else {}
        self._kinds: Dict[int, Tuple[str, str]] = {}
        for module, names in _KNOWN.items():
            members = self._module(module)
            for name in names:
                if not (name in members and _is_one_of(type, _mro(type(members[name])))):
                    continue
                if name not in _IN_C_ALONE or _is_fixed(members[name]):
                    self._kinds[id(members[name])] = (module.partition(".")[0], name)

    # Reading ------------------------------------------------------------------------------------------------

    def _module(self, name: str) -> Dict[str, Any]:
        """Return the attributes of a module, if it is imported."""
        module = self.loaded.get(name)
        return _plain(_module_dict(module)) if type(module) is types.ModuleType else {}

    def _kind(self, value: Any) -> Tuple[str, str]:
        """Return the package and name of an object's class, if it is a known one."""
        return self._kinds.get(id(type(value)), ("", ""))

    def _members(self, kind: Any) -> Dict[str, Any]:
        """Return the content of a class's own dictionary."""
        members = self._classes.get(id(kind))
        if members is None:
            members = self._classes[id(kind)] = _plain(_class_dict(kind))
        return members

    def _own(self, value: Any) -> Optional[Dict[str, Any]]:
        """Return the content of an object's own dictionary; None if it is hidden or too large."""
        for kind in _mro(type(value)):
            members = self._members(kind)
            if "__dict__" in members:
                if not _is_native(members["__dict__"], kind, "__dict__"):
                    return None
                own = members["__dict__"].__get__(value)
                if type(own) is not dict or len(own) > MOST_ATTRIBUTES or own is self._namespace:
                    return None
                plain = _plain(own)
                return plain if len(plain) == len(own) else None  # other keys may equal a name
        return {}

    def _read(self, value: Any, name: str) -> Any:
        """Read an attribute through a C descriptor, or else from the object's own dictionary."""
        key = (id(type(value)), name)
        if key not in self._getters:
            self._getters[key] = None
            for kind in _mro(type(value)):
                members = self._members(kind)
                if name in members:
                    self._getters[key] = (
                        members[name].__get__ if _is_native(members[name], kind, name) else None
                    )
                    break
        get = self._getters[key]
        return get(value) if get else (self._own(value) or {}).get(name)

    def _call(self, value: Any, name: str, *arguments: Any) -> Any:
        """Call a method that the object's class implements in C."""
        for kind in _mro(type(value)):
            member = self._members(kind).get(name)
            if member is not None:
                # Unlike a method, a slot of a class defined in Python may contain a user's function.
                if _is_fixed(kind) or (
                    type(member) is types.MethodDescriptorType and _is_native(member, kind, name)
                ):
                    return member.__get__(value)(*arguments)
                break
        raise TypeError(name)

    def _words_of(self, kind: Any) -> Tuple[Optional[List[str]], bool]:
        """Return the names in a class, and whether its code may provide others."""
        known = self._class_words.get(id(kind))
        if known is None:
            classes = [(base, self._members(base)) for base in _mro(kind) if base is not object]
            # The built-in classes have a `__getattribute__` that computes nothing.
            own = [members for base, members in classes if not _is_one_of(base, (type, *_PLAIN))]
            more = any("__getattr__" in members or "__getattribute__" in members for members in own)
            is_plain = all(len(members) == len(_class_dict(base)) for base, members in classes)
            words = _words({name for _, members in classes for name in members}) if is_plain else None
            known = self._class_words[id(kind)] = words, more
        return known

    # Tables -------------------------------------------------------------------------------------------------

    def _labels(self, frame: Any) -> Tuple[List[Any], int]:
        """Return the first column labels of a table, and their number; -1: unknown."""
        most = MOST_LABELS if self._full else MOST_COLUMNS
        if self._kind(frame)[0] == "polars":
            inner = self._read(frame, "_df")
            if self._kind(inner) != ("polars", "PyDataFrame"):
                return [], -1
            labels = self._call(inner, "columns")
            return labels[:most], len(labels)
        axes = self._read(self._read(frame, "_mgr"), "axes")
        if type(axes) is not list or self._kind(axes[0]) != ("pandas", "Index"):
            return [], -1
        return self._labels_of(axes[0], most)

    def _labels_of(self, index: Any, most: int) -> Tuple[List[Any], int]:
        """Return the first labels of a pandas Index, and its length."""
        data = self._read(index, "_data")
        if name := _INNER.get(self._kind(data)[1]):
            data = self._read(data, name)
        if self._kind(data)[1] == "ndarray":
            return data[:most].tolist(), len(data)
        # An extension type may be a user's class that converts each value.
        kinds = self._kind(data)[1], self._kind(self._read(data, "type"))[1]
        if kinds == ("ChunkedArray", "DataType"):
            return data.slice(0, most).to_pylist(), data.length()
        return [], -1

    def _frame(self, frame: Any) -> Dict[str, Any]:
        """Return the column labels that are strings; for a report, None if there are too many."""
        labels, count = self._labels(frame)
        longest = LONGEST_LABEL if self._full else LONGEST
        texts = [text for text in (_text(label, longest) for label in labels) if text is not None]
        if not self._full:
            return {"columns": texts, "all": len(texts) == count}
        self._label_bytes -= 4 * len(texts) + len("".join(texts).encode())
        return {"labels": texts if 0 <= count <= MOST_LABELS and self._label_bytes > 0 else None}

    def _rows(self, frame: Any) -> Optional[int]:
        """Return the number of rows of a pandas table; None: unknown."""
        axes = self._read(self._read(frame, "_mgr"), "axes")
        index = axes[-1] if type(axes) is list and axes else None
        numbers = self._read(index, "_range")
        count = len(numbers) if type(numbers) is range else self._labels_of(index, 0)[1]
        return count if count >= 0 else None

    def _levels(self, table: Any) -> List[Any]:
        """Return the names of the levels of a pandas index, which may be any objects."""
        axes = self._read(self._read(table, "_mgr"), "axes")
        if type(axes) is not list or not axes:
            return []
        names = self._read(axes[-1], "_names")
        return names if type(names) is list else [self._read(axes[-1], "_name")]

    def _has_strings(self, series: Any) -> bool:
        """Return whether a Series has a dtype of strings, or only strings as its first values."""
        blocks = self._read(self._read(series, "_mgr"), "blocks")
        values: Any = self._read(blocks[0], "values") if type(blocks) is tuple and blocks else None
        if self._kind(values)[1] != "ndarray":
            return self._kind(values)[1] in ("StringArray", "ArrowStringArray")
        if self._read(self._read(values, "dtype"), "kind") != "O":
            return False
        first = values[:MOST_VALUES].tolist()
        missing = [each is None or (type(each) is float and math.isnan(each)) for each in first]
        kinds = [type(each) for each, is_missing in zip(first, missing) if not is_missing]
        return bool(kinds) and all(kind is str for kind in kinds)

    # Descriptions -------------------------------------------------------------------------------------------

    def _class_of(self, value: Any) -> Dict[str, Any]:
        """Return the name and module of an object's class."""
        return {"type": _text(_class_name(type(value))), "module": self._module_name(type(value))}

    def _module_name(self, kind: Any) -> Optional[str]:
        """Return the name of a class's module."""
        return _text(self._members(kind).get("__module__") if _flags(kind) & _HEAP else _static_module(kind))

    def known(self, value: Any) -> Dict[str, Any]:
        """Describe an object without attributes and parameters to which its code may add others."""
        described = self.describe(value)
        if not described.pop("closed"):
            described["attributes"] = described["parameters"] = None
        return described

    def describe(self, value: Any) -> Dict[str, Any]:
        """Describe an object; its description is closed if it has all attributes and parameters."""
        kind, described = type(value), self._class_of(value)
        module, (package, name) = described["module"], self._kind(value)
        words, more = self._words_of(kind)
        closed = name == "DataFrame" or not more
        if kind is types.ModuleType:
            own = _module_dict(value)
            plain = _plain(own)
            described["name"] = module = _text(plain.get("__name__"))
            described["attributes"] = _words({*plain, *_texts(plain.get("__all__"), MOST_ATTRIBUTES)})
            closed = "__getattr__" not in plain and len(own) == len(plain)
        elif _is_one_of(kind, (types.FunctionType, types.MethodType)):
            described.update(_parameters(value))
            closed = described.pop("closed", False)
        elif name == "_ArrayFunctionDispatcher":  # it accepts what the function that it wraps accepts
            described.update(_parameters((self._own(value) or {}).get("__wrapped__")))
            closed = described.pop("closed", False)
        elif _is_class(value):
            described["attributes"], own_more = self._words_of(value)
            if self._full or more:
                described["attributes"] = None if more else _merge_names(described["attributes"], words)
            constructor = self._constructor(value) if self._full else {}
            # Instances alone use the `__getattr__` of a class.
            closed = not more if self._full else kind is type and not own_more
            closed = constructor.pop("closed", True) and closed
            described.update(constructor)
        elif package or not more:  # in known classes, the code adds only columns
            described["attributes"] = _merge_names(words, self._own(value))
        if name == "DataFrame":
            described.update(self._frame(value))
        if package == "pandas" and name in ("DataFrame", "Series"):
            longest = LONGEST_LABEL if self._full else LONGEST
            described["levels"] = _texts(self._levels(value), MOST_LEVELS, longest)
        if self._full:
            described["rows"] = self._rows(value) if (package, name) == ("pandas", "DataFrame") else None
            described["strings"] = (package, name) == ("pandas", "Series") and self._has_strings(value)
            if kind is dict and len(value) <= MOST_KEYS:
                keys = [_text(key) for key in value]
                described["keys"] = None if any(key is None for key in keys) else keys
            version = self._module((module or "").partition(".")[0]).get("__version__")
            described["version"] = _text(version)
        return {**described, "closed": closed}

    def _member(self, kind: Any, name: str) -> Any:
        """Return the content of a class or its base classes under a name."""
        found = (self._members(base) for base in _mro(kind))
        return next((members[name] for members in found if name in members), _MISSING)

    def _constructor(self, kind: Any) -> Dict[str, Any]:
        """Return the parameters of a class, unless its metaclass is called instead."""
        if any("__call__" in self._members(base) for base in _mro(type(kind)) if base is not type):
            return {}
        members = [self._member(kind, name) for name in ("__init__", "__new__")]
        members = [member.__func__ if type(member) is staticmethod else member for member in members]
        functions = [member for member in members if type(member) is types.FunctionType]
        found = _parameters(functions[0]) if functions else {}
        return {**found, "closed": False} if len(functions) > 1 else found


def _is_class(value: Any) -> bool:
    return _is_one_of(type, _mro(type(value)))


def _parameters(function: Any) -> Dict[str, Any]:
    """Read the parameters that a function, or the function that it wraps, accepts as keywords.

    They are read from the code object: nothing is called. A wrapper may accept others than these.
    """
    if type(function) is types.MethodType:
        function = function.__func__
    first = function
    for _ in range(MOST_WRAPPERS):
        if type(function) is not types.FunctionType or type(function.__dict__) is not dict:
            return {}
        own = _plain(function.__dict__)
        if "__wrapped__" not in own:
            break
        function = own["__wrapped__"]
    if "__wrapped__" in own or "__signature__" in own:
        return {}
    code = function.__code__
    names = code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]
    few = len(names) <= MOST_ATTRIBUTES
    named = [name for name in names[:MOST_ATTRIBUTES] if _text(name) and name not in ("self", "cls")]
    return {
        "parameters": named,
        "positional": code.co_argcount,
        "open": bool(code.co_flags & _FUNCTION_OPEN),
        "closed": function is first and few and all(name.isidentifier() for name in names),
    }


def _size(described: Dict[str, Any]) -> int:
    """Estimate the size of a description in the message."""
    lists = (described.get(name) for name in ("attributes", "parameters", "keys", "levels", "columns"))
    texts = [text for found in lists for text in found or ()]
    return 200 + len("".join(texts)) + 4 * len(texts)


def _texts(values: Any, most: int, longest: int = LONGEST) -> List[str]:
    """Return the first strings of a plain list or tuple that can be encoded."""
    texts = [_text(value, longest) for value in values[:most]] if type(values) in (list, tuple) else []
    return [text for text in texts if text is not None]


def _folder() -> Dict[str, str]:
    """Return the working folder, and what distinguishes it from one of another machine."""
    found = os.stat(".")  # noqa: PTH116
    return {"folder": _text(os.getcwd(), LONGEST_FOLDER) or "", "folder_id": f"{found.st_dev} {found.st_ino}"}  # noqa: PTH109


def modules() -> Dict[str, Any]:
    """Return the module search path, and the modules built into the interpreter."""
    own = _plain(_module_dict(sys))
    path, here = [], []
    for entry in _texts(own.get("path"), MOST_FOLDERS, LONGEST_FOLDER):
        if os.path.isabs(entry):  # noqa: PTH117
            path.append(entry)
            continue
        with suppress(OSError):  # the working folder may be gone
            here.append(os.path.normpath(os.path.join(os.getcwd(), entry)))  # noqa: PTH109, PTH118
            path.append(here[-1])
    return {
        "path": path,
        "here": here,
        **(_safely(_folder) or {}),
        "builtin": _texts(own.get("builtin_module_names"), MOST_BUILTIN),
        "suffixes": _texts(EXTENSION_SUFFIXES, MOST_FOLDERS),
    }


def _last(namespace: Any) -> List[Tuple[Any, Any]]:
    """Return the last items of a namespace, newest first."""
    return list(islice(reversed(dict.items(namespace)), MOST_LOOKED_AT))


def _safely(function: Any, *given: Any) -> Any:
    """Call a function; None if it fails: the internals of a library may have changed."""
    with suppress(Exception):
        return function(*given)


def facts(namespace: Any) -> Dict[str, Any]:
    """Describe the newest names of a namespace."""
    look, left = _Look(), MOST_BYTES
    if not _is_one_of(dict, _mro(type(namespace))):
        return {"names": {}, "all": False, "modules": {}}
    last = _last(namespace)
    newest = [(n, v) for n, v in last if type(n) is str and _is_public(n) and n not in _SHELLS]
    described: Dict[str, Any] = {}
    for name, value in newest[:MOST_NAMES]:
        described[name] = {"type": _text(_class_name(type(value)))}
        if left > 0 and thread_time() < look.end:
            described[name] = _safely(look.known, value) or described[name]
        left -= _size(described[name])
    complete = len(described) == len(newest) and len(last) < MOST_LOOKED_AT
    return {"names": described, "all": complete, "modules": modules()}


# Errors -----------------------------------------------------------------------------------------------------

_UNKNOWN_KEYWORD = re.compile("unexpected keyword argument '|has no property '")  # messages of Matplotlib


class _ErrorLook(_Look):
    """An inspection of the objects that an error may concern."""

    def find(self, expression: str, scope: Dict[str, Any]) -> Any:
        """Return the object or module of an expression; `_MISSING` if code would have to compute it."""
        value = self._find(ast.parse(expression, mode="eval").body, scope)
        return self.loaded.get(expression, _MISSING) if value is _MISSING else value

    def describe_found(self, expression: str, scope: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """Describe the object of an expression; None if there is none."""
        value = self.find(expression, scope)
        return None if value is _MISSING else self.describe(value)

    def _find(self, node: Any, scope: Dict[str, Any]) -> Any:
        if type(node) is ast.Name:
            return scope.get(node.id, _MISSING)
        value = self._find(node.value, scope)
        if value is not _MISSING and type(node) is ast.Attribute:
            return self._attribute(value, node.attr)
        if type(node) is not ast.Subscript:
            return _MISSING
        key = getattr(node.slice, "value", None)  # up to Python 3.8, within an `ast.Index`
        key = getattr(key, "value", key)
        if _is_one_of(type(value), _DICTS) and type(key) is str:
            return _plain(value).get(key, _MISSING)
        if _is_one_of(type(value), (list, tuple)) and type(key) is int and 0 <= key < len(value):
            return value[key]
        return _MISSING

    def _attribute(self, value: Any, name: str) -> Any:
        """Return an attribute that no code computes, or the function of a method."""
        if type(value) is types.ModuleType:
            return _plain(_module_dict(value)).get(name, _MISSING)
        if _is_class(value) and type(value) is not type and self._member(type(value), name) is not _MISSING:
            return _MISSING  # a metaclass may compute it
        member = self._member(value if _is_class(value) else type(value), name)
        kind = type(member)
        own = {} if _is_class(value) else self._own(value) or {}
        if name in own and all(self._member(kind, each) is _MISSING for each in ("__set__", "__delete__")):
            return own[name]
        if kind is types.FunctionType:
            return member
        if _is_one_of(kind, (staticmethod, classmethod)):
            return member.__func__
        if kind is types.MemberDescriptorType and not _is_class(value):
            return member.__get__(value)  # other descriptors written in C may call the user's code
        return member if self._member(kind, "__get__") is _MISSING else _MISSING

    def describe_artist(self, artist: Any) -> Dict[str, Any]:
        """Describe an object of Matplotlib, with the parameters of its class."""
        return {**self.describe(artist), **self._constructor(type(artist))}


class _TextLook(_ErrorLook):
    """An inspection that reads the strings of columns, indexes and dictionaries."""

    def read(self, asked: Any, scope: Dict[str, Any]) -> Optional[List[Any]]:
        """Return the texts of an object, whether others are unlikely, and whether all values were read.

        None: they are unknown, or many.

        `asked`: a kind and an expression. The kinds are `values` of a column, the most frequent first,
        `labels` of an index and `keys` of a dictionary.
        """
        kind, expression = _texts(asked, 2, LONGEST_LABEL)
        node: Any = ast.parse(expression, mode="eval").body
        if kind == "values":
            found = self._values(node, scope)
        else:
            value = self._find(node, scope)
            found = self._index_labels(value) if kind == "labels" else self._keys(value)
        if found is None:
            return None
        texts, is_all, is_whole = found
        kept = [text for text in texts if _is_writable(text)]
        return [kept, is_all and len(kept) == len(texts), is_whole]

    def _keys(self, value: Any) -> _Found:
        """Return the keys of a dictionary, or the names of the variables of the environment."""
        if type(value) is os._Environ:
            value = (self._own(value) or {}).get("_data")
            keys = [os.fsdecode(key) for key in value if type(key) is bytes] if type(value) is dict else []
            return (keys, True, True) if keys and len(keys) <= MOST_TEXTS else None
        if not _is_one_of(type(value), _DICTS) or len(value) > MOST_TEXTS:
            return None
        keys = [key for key, _ in dict.items(value)]
        # A missing key of a default dictionary is no error.
        return [key for key in keys if type(key) is str], type(value) is not defaultdict, True

    def _index_labels(self, table: Any) -> _Found:
        """Return the labels of the rows of a pandas table, if all are strings."""
        if self._kind(table)[0] != "pandas":
            return None
        axes = self._read(self._read(table, "_mgr"), "axes")
        if type(axes) is not list or not axes or self._kind(axes[-1]) != ("pandas", "Index"):
            return None
        labels, count = self._labels_of(axes[-1], MOST_TEXTS + 1)
        if not 0 < count <= MOST_TEXTS or any(type(label) is not str for label in labels):
            return None
        return [*dict.fromkeys(labels)], True, True

    def _values(self, node: Any, scope: Dict[str, Any]) -> _Found:
        """Return the strings in a column of a table, in a Series, or in the column of groups."""
        label: Any = None
        if type(node) is ast.Subscript:
            label = getattr(node.slice, "value", None)
            label = getattr(label, "value", label)
            node = node.value
        value = self._find(node, scope)
        package, name = self._kind(value)
        if (package, name) == ("pandas", "DataFrameGroupBy") and label is None:
            value, label = self._read(value, "obj"), self._read(value, "keys")
            package, name = self._kind(value)
        if (name == "DataFrame") != (type(label) is str):
            return None
        if package == "polars":
            return self._polars_values(value, label)
        if name == "DataFrame":
            labels, _ = self._labels(value)
            places = [at for at, each in enumerate(labels) if type(each) is str and each == label]
            return self._block_values(value, places[0]) if len(places) == 1 else None
        return self._block_values(value, 0) if name == "Series" else None

    def _block_values(self, table: Any, place: int) -> _Found:
        """Return the strings in the block of a pandas table that has the column at a place."""
        blocks = self._read(self._read(table, "_mgr"), "blocks")
        for block in blocks if type(blocks) is tuple else ():
            places = self._read(block, "_mgr_locs")
            rows = self._read(places, "as_array") if self._kind(places)[1] == "BlockPlacement" else None
            if rows is None or self._kind(rows)[1] != "ndarray":
                return None
            first = rows[:MOST_COLUMNS].tolist()  # in their order, with few exceptions
            column = next((at for at, each in enumerate(first) if each == place), None)
            if column is not None:
                return self._array_values(self._read(block, "values"), column)
        return None

    def _array_values(self, values: Any, column: int) -> _Found:
        kind = self._kind(values)[1]
        if kind == "Categorical":
            return self._categories(values)
        data = self._read(values, _INNER[kind]) if kind in ("ArrowStringArray", "StringArray") else values
        if self._kind(data)[1] == "ndarray" and self._read(self._read(data, "dtype"), "kind") == "O":
            row = data[column] if data.ndim == 2 else data  # noqa: PLR2004 - a block of several columns
            return self._different(row[:: _step(len(row))].tolist(), len(row))
        kinds = self._kind(data)[1], self._kind(self._read(data, "type"))[1]
        if kinds == ("ChunkedArray", "DataType"):
            if data.num_chunks > MOST_CHUNKS or data.nbytes > data.length() * MOST_ROW_BYTES:
                return None
            length = data.length()
            sample = self._sample(length, lambda *piece: data.slice(*piece).to_pylist())
            return self._different(sample, length)
        return None

    def _categories(self, values: Any) -> _Found:
        """Return the categories of a column, the most frequent first."""
        dtype, codes = self._read(values, "_dtype"), self._read(values, "_ndarray")
        if (self._kind(dtype)[1], self._kind(codes)[1]) != ("CategoricalDtype", "ndarray"):
            return None
        labels, count = self._labels_of(self._read(dtype, "_categories"), MOST_DIFFERENT + 1)
        if not 0 < count <= MOST_DIFFERENT or any(type(label) is not str for label in labels):
            return None
        counts = Counter(codes[:: _step(len(codes))].tolist())
        return [labels[at] for at in sorted(range(count), key=lambda at: -counts[at])], True, True

    def _polars_values(self, frame: Any, label: Any) -> _Found:
        """Return the strings in a column of a polars table, or in a Series."""
        if label is None:
            column = self._read(frame, "_s")
        else:
            inner = self._read(frame, "_df")
            if self._kind(inner) != ("polars", "PyDataFrame"):
                return None
            column = self._call(inner, "get_column", label)
        if self._kind(column)[1] != "PySeries":
            return None

        length = self._call(column, "len")
        if self._call(column, "estimated_size") > length * MOST_ROW_BYTES:
            return None
        sample = self._sample(
            length, lambda *piece: self._call(self._call(column, "slice", *piece), "to_list")
        )
        return self._different(sample, length)

    def _sample(self, length: int, piece: Any) -> Iterator[Any]:
        """Yield values of a column from pieces that are spread over its rows, the first one alone."""
        most = MOST_ROWS // MOST_PIECES
        pieces = min(MOST_PIECES, -(-length // most))
        for at in range(pieces):
            if thread_time() > self.end:
                raise TimeoutError  # a part of the sample is none
            start, end = at * length // pieces, (at + 1) * length // pieces
            if not at:
                yield from piece(0, 1)
            yield from piece(start + (not at), min(most, end - start) - (not at))

    def _different(self, values: Any, length: int) -> _Found:
        """Return the different strings of a sample; None if there are many, or other values than missing.

        If each value of a sample occurs several times, further values are unlikely.
        """
        missing = self._module("pandas").get("NA", _MISSING)
        counts: Dict[str, int] = {}
        rows = 0
        for value in values:
            rows += 1
            if type(value) is str:
                text = value[: LONGEST_TEXT + 1]  # hashing a long one takes time
                counts[text] = counts.get(text, 0) + 1
            elif (
                value is not None
                and value is not missing
                and not (type(value) is float and math.isnan(value))
            ):
                return None
            if len(counts) > MOST_DIFFERENT:
                return None
        frequent = [text for text in counts if counts[text] > 1 or rows <= FEW_ROWS]
        frequent.sort(key=lambda text: -counts[text])
        return frequent, len(frequent) == len(counts), rows == length


def _step(length: int) -> int:
    return -(-length // MOST_ROWS) or 1


def _is_writable(text: str) -> bool:
    """Return whether a text can be written between quotes as it is."""
    return 0 < len(text) <= LONGEST_TEXT and text.isprintable() and not {*text} & {*"\"'\\`"}


def texts(namespace: Any, asked: Any) -> Dict[str, Any]:
    """Return the answers to queries for texts, which are pairs of a kind and an expression."""
    look = _TextLook()
    last = _last(namespace) if _is_one_of(dict, _mro(type(namespace))) else []
    scope = {name: value for name, value in reversed(last) if type(name) is str}
    answers: List[Any] = []
    for each in asked[:MOST_READ]:
        is_late = thread_time() > look.end
        answers.append(None if is_late else _safely(look.read, each, scope))
    return {"texts": answers}


class _CheckLook(_ErrorLook):
    """An inspection for a check: which objects can only run code of the listed packages."""

    def __init__(self, namespace: Any) -> None:
        super().__init__(full=True)
        self._namespace = namespace
        self._numbers: Dict[int, int] = {}
        self._inert: Dict[int, bool] = {}  # by identity, for objects that live during the inspection
        self._elements = MOST_ELEMENTS
        self._dicts: Dict[str, Dict[str, Any]] = {}
        self._folders: Dict[str, Optional[str]] = {}
        self._listed: Dict[Tuple[str, str], bool] = {}  # by the module and the file of a function
        self._unnamed = frozenset(id(type(each)) for each in _UNNAMED)
        self._standard = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120

    def record(self, expression: str, scope: Dict[str, Any]) -> Optional[List[Any]]:
        """Return an object's number and kind, whether it is inert, its name in its library, and its size.

        Objects have the same number if they are identical. An inert object runs no code of the user, whatever
        is done with it: no function, class or object of others can be reached from it.
        """
        is_import = expression.startswith("import ")
        if is_import:
            value = self._imported(expression[7:])
        else:
            node: Any = ast.parse(expression, mode="eval").body
            value = self._find(node, scope)
            if type(node) is ast.Attribute and (value is _MISSING or self._is_computed(node, scope)):
                return self._member_record(node, scope)
        if value is _MISSING:
            return None
        number = self._numbers.setdefault(id(value), len(self._numbers))
        return [
            number,
            self._kind_of(value),
            self.is_inert(value),
            self.identified(value),
            self._size_of(value),
        ]

    def describe_found(self, expression: str, scope: Dict[str, Any]) -> Optional[Dict[str, Any]]:
        """Describe the object of an expression, or of `import name`; None if there is none."""
        if not expression.startswith("import "):
            return super().describe_found(expression, scope)
        value = self._imported(expression[7:])
        return None if value is _MISSING else self.describe(value)

    def _frame(self, frame: Any) -> Dict[str, Any]:
        """Return the column labels; None if one that is not described, or a level, may equal a string."""
        labels = [*self._labels(frame)[0], *(self._levels(frame) if self._kind(frame)[0] == "pandas" else ())]
        is_open = any(
            _text(label, LONGEST_LABEL) is None if type(label) is str else id(type(label)) not in _ATOMS
            for label in labels
        )
        return {"labels": None} if is_open else super()._frame(frame)

    def describe(self, value: Any) -> Dict[str, Any]:
        """Describe an object; the names that a cell binds are keys of its namespace."""
        described = super().describe(value)
        own = _module_dict(value) if type(value) is types.ModuleType else value
        if own is self._namespace:
            described.update(attributes=None, keys=None)
        elif own is not value and described["attributes"] is not None:
            # A library may import a module of a package at any time.
            folders = _texts(_plain(own).get("__path__"), MOST_FOLDERS, LONGEST_PATH)
            found = {name.split(".")[0].rstrip("/") for folder in folders for name in _names_in(folder)}
            described["attributes"] = _merge_names(described["attributes"], found)
        return described

    def _is_computed(self, node: Any, scope: Dict[str, Any]) -> bool:
        """Return whether a class of the user may decide what an attribute is."""
        owner = self._find(node.value, scope)
        kind = type(owner)
        if kind is types.ModuleType or self.identified(kind):
            return False
        bases = [base for base in _mro(kind) if not _is_one_of(base, (object, type)) and not _is_fixed(base)]
        return any("__getattribute__" in self._members(base) for base in bases)

    def _member_record(self, node: Any, scope: Dict[str, Any]) -> Optional[List[Any]]:
        """Return the record of what a class computes: the value is inert if only listed code computes it."""
        owner = self._find(node.value, scope) if type(node) is ast.Attribute else _MISSING
        if owner is _MISSING or type(owner) is types.ModuleType:
            return None
        member = self._member(owner if _is_class(owner) else type(owner), node.attr)
        if member is _MISSING:
            return None
        if type(member) is property:
            is_listed = self._has_listed_code(member.fget)
        else:
            is_listed = _is_one_of(type(member), _IN_C) or self._is_walked_inert(member)
        return [-1, "member", is_listed and self.is_inert(owner), "", -1]

    def _imported(self, name: str) -> Any:
        """Return a module that is imported, or what it contains."""
        first, *rest = name.split(".")
        value, path = self.loaded.get(first, _MISSING), first
        for part in rest:
            path = f"{path}.{part}"
            found = _MISSING if value is _MISSING else self._attribute(value, part)
            value = self.loaded.get(path, _MISSING) if found is _MISSING else found
        return value

    def _kind_of(self, value: Any) -> str:
        kind = type(value)
        if kind is types.ModuleType:
            return "module"
        if _is_class(value):
            return "class"
        name = self._kind(value)[1]
        if name == "DataFrame":
            return "table"
        if kind is dict:
            return "dict"
        is_plain = id(kind) in _ATOMS or name in ("ndarray", "Series", "Index")
        return "plain" if is_plain or _is_one_of(kind, _PLAIN) else "other"

    def _size_of(self, value: Any) -> int:
        """Return the number of items of a built-in container, or of columns of a table; -1: unknown."""
        if _is_one_of(type(value), (str, bytes, list, tuple, dict, set, frozenset, range)):
            return len(value)
        return self._labels(value)[1] if self._kind(value)[1] == "DataFrame" else -1

    # Libraries ----------------------------------------------------------------------------------------------

    def _module_of(self, name: str) -> Dict[str, Any]:
        if name not in self._dicts:
            self._dicts[name] = self._module(name)
        return self._dicts[name]

    def _folder(self, module: Optional[str]) -> Optional[str]:
        """Return the folder of a listed module's package, "" for one in the interpreter; None: not listed.

        A file of the user may have the name of a listed package.
        """
        if module is None:
            return None
        if module not in self._folders:
            parts = module.split(".")
            is_listed = any(".".join(parts[:end]) in _LISTED for end in range(1, len(parts) + 1))
            self._folders[module] = self._folder_of(parts[0]) if is_listed else None
        return self._folders[module]

    def _folder_of(self, package: str) -> Optional[str]:
        file = self._module_of(package).get("__file__")
        if file is None:
            return "" if package in sys.builtin_module_names or package in ("os", "abc", "io") else None
        if type(file) is not str:
            return None
        folder, name = os.path.split(file)
        if os.path.basename(os.path.dirname(folder)).endswith("-packages"):  # noqa: PTH119, PTH120
            return folder + os.sep
        is_standard = file.startswith(self._standard) and "-packages" + os.sep not in file
        if not is_standard:
            return None
        return folder + os.sep if name.startswith("__init__.") else file

    def _has_listed_code(self, function: Any) -> bool:
        if type(function) is not types.FunctionType:
            return False
        place = function.__module__, function.__code__.co_filename
        if not type(place[0]) is type(place[1]) is str:
            return False
        if place not in self._listed:
            self._listed[place] = self._is_listed(*place)
        return self._listed[place]

    def _is_listed(self, module: str, file: str) -> bool:
        folder = self._folder(_text(module))
        if folder is None or len(file) > LONGEST_PATH:
            return False
        package = os.path.dirname(folder) if folder.endswith(".py") else folder  # noqa: PTH120
        return file.startswith("<frozen ") or (bool(package) and file.startswith(package))

    def identified(self, value: Any) -> str:
        """Return the name under which a listed module has a function or a class, or an empty string."""
        kind = type(value)
        names: Tuple[Any, Any]
        if _is_class(value):
            names = self._module_name(value), _qualified_name(value)
        elif kind is types.FunctionType:
            if not self._has_listed_code(value):
                return _OPEN_OF_IPYTHON if self._is_open_of_ipython(value) else ""
            names = value.__module__, value.__qualname__
        elif kind is types.BuiltinFunctionType:
            # Otherwise, its qualified name would be that of a class, whose metaclass may compute it.
            if not (value.__self__ is None or type(value.__self__) is types.ModuleType):
                return ""
            names = value.__module__, value.__qualname__
        elif self._is_callable_of_c(value):
            name = _text(self._read(value, "__qualname__")) or self._read(value, "__name__")
            names = _text(self._read(value, "__module__")) or "numpy", name
        else:
            return ""
        module, name = map(_text, names)
        return f"{module}.{name}" if self._is_at(value, module, name) else ""

    def _is_inert_name(self, name: str) -> bool:
        """Return whether a function or class that has been identified runs no other code."""
        package, last = name.partition(".")[0], name.rpartition(".")[2]
        return bool(name) and name not in _NOT_INERT and last not in _NOT_INERT_IN.get(package, ())

    def _is_callable_of_c(self, value: Any) -> bool:
        return _class_name(type(value)) in _CALLABLE_OF_C

    def _is_open_of_ipython(self, value: Any) -> bool:
        return value is self._module_of("IPython.core.interactiveshell").get("_modified_open", _MISSING)

    def _is_at(self, value: Any, module: Optional[str], name: Optional[str]) -> bool:
        """Return whether a listed module has this very object under a name."""
        if module is None or name is None or self._folder(module) is None:
            return False
        first, *rest = name.split(".")
        found = self._module_of(module).get(first, _MISSING)
        for part in rest:
            found = self._members(found).get(part, _MISSING) if _is_class(found) else _MISSING
        if _is_one_of(type(found), (staticmethod, classmethod)):
            found = found.__func__
        return found is value

    def has_foreign_members(self) -> bool:
        """Return whether a class of tables has functions or accessors that are not of the listed packages."""
        tables = (
            ("pandas", ("DataFrame", "Series", "Index")),
            ("polars", ("DataFrame", "Expr", "LazyFrame", "Series")),
        )
        kinds = [self._module_of(module).get(name) for module, names in tables for name in names]
        bases = {id(base): base for kind in kinds if _is_class(kind) for base in _mro(kind)}
        bases.pop(id(object), None)
        for base in bases.values():
            # Other functions of `typing_extensions` wrap some of these.
            is_wrapped = _class_name(base) in ("Expr", "LazyFrame")
            for member in self._members(base).values():
                is_function = type(member) is types.FunctionType and not is_wrapped
                is_foreign = is_function and not self._has_listed_code(member)
                if is_foreign or (_class_name(type(member)) in _ACCESSORS and not self.is_inert(member)):
                    return True
        return False

    def has_foreign_plugins(self) -> bool:
        """Return whether pandas calls classes or modules that are not of the listed packages."""
        backends = self._module_of("pandas.plotting._core").get("_backends", {})
        registry = self._module_of("pandas.core.dtypes.base").get("_registry")
        plugins = (*backends.values(), *(self._own(registry) or {}).get("dtypes", ()))
        return not all(map(self.is_inert, plugins))

    # Inert objects ------------------------------------------------------------------------------------------

    def is_inert(self, value: Any) -> bool:
        """Return whether a bounded walk from an object reaches no code of others."""
        if id(value) not in self._inert:
            self._inert[id(value)] = self._is_walked_inert(value)
        return self._inert[id(value)]

    def _is_walked_inert(self, value: Any) -> bool:
        seen: Any = set()
        work, steps = [value], 0
        while work:
            each = work.pop()
            if id(each) in seen or id(type(each)) in _ATOMS:
                continue
            seen.add(id(each))
            steps += 1
            parts = self._parts(each) if steps <= MOST_WALKED and thread_time() < self.end else None
            if each is not value and self._may_change_items(each):
                return False
            if parts is None or self._elements < 0:
                return False
            work += parts
        return True

    def _may_change_items(self, value: Any) -> bool:
        """Return whether an object is a method of a container or a table."""
        is_method = _is_one_of(type(value), (types.BuiltinFunctionType, types.MethodType))
        owner = value.__self__ if is_method else None
        bases = _mro(type(owner))
        is_container = any(_is_one_of(kind, bases) for kind in (dict, list, set, deque))
        return is_container or self._kind(owner)[1] == "DataFrame"

    def _parts(self, value: Any) -> Any:
        """Return the objects to walk on from an object; None if it may run code of others."""
        kind = type(value)
        if kind is types.ModuleType:
            return (
                () if self._folder(_text(_plain(_module_dict(value)).get("__name__"))) is not None else None
            )
        if _is_class(value) or kind is types.FunctionType:
            return () if self._is_inert_name(self.identified(value)) else None
        if kind is types.BuiltinFunctionType:
            owner = value.__self__
            if owner is None or type(owner) is types.ModuleType:
                return () if self._is_inert_name(self.identified(value)) else None
            return (owner,)
        if kind is types.MethodType:
            return (value.__func__, value.__self__)
        if kind is weakref.ReferenceType:
            return (value(), value.__callback__)
        for base in (dict, list, tuple, set, frozenset, deque):
            if _is_one_of(base, _mro(kind)):
                self._elements -= base.__len__(value)
        if self._elements < 0:
            return None
        if _is_one_of(kind, (list, tuple, set, frozenset)):
            return _compounds(value)
        if kind is dict:
            return [*_compounds(value), *_compounds(value.values())]
        known = self._kind(value)[1]
        if known in ("PyDataFrame", "PySeries"):
            kinds = self._call(value, "dtypes") if known == "PyDataFrame" else [self._call(value, "dtype")]
            names = (_class_name(each if _is_class(each) else type(each)) for each in kinds)
            return None if "Object" in names else ()
        is_capsule = _class_name(kind) == "PyCapsule" and not _flags(kind) & _HEAP
        if self._is_callable_of_c(value):
            return () if self._is_inert_name(self.identified(value)) else None
        is_known = bool(known) or is_capsule or id(kind) in self._unnamed
        name = "" if is_known else self.identified(kind)
        if id(kind) in _CODE or not (self._is_inert_name(name) or is_known):
            return None
        if name in _HIDING:
            return None
        if name.startswith(("matplotlib.", "typing._Special")):
            return ()  # a figure refers to too much to be walked
        for each in ("datetime", "time"):
            dated = self._module_of("datetime").get(each)
            if dated is not None and _is_one_of(dated, _mro(kind)):
                return (_class_dict(dated)["tzinfo"].__get__(value),)
        values = self._objects_of_array(value)
        return values if values is None else [*values, *(x for x in gc.get_referents(value) if x is not kind)]

    def _objects_of_array(self, value: Any) -> Optional[List[Any]]:
        """Return the compound elements of an array of objects; None if they cannot be read."""
        arrays = [base for base in _mro(type(value)) if self._kinds.get(id(base)) == ("numpy", "ndarray")]
        if not arrays:
            return []
        dtype = self._read(value, "dtype")
        if not self._read(dtype, "hasobject"):
            return []
        size = self._read(value, "size")
        if arrays[0] is not type(value) or self._read(dtype, "kind") != "O" or size > self._elements:
            return None
        self._elements -= size
        return _compounds(value.reshape(-1).tolist())


def _compounds(values: Any) -> List[Any]:
    """Return the elements that are not numbers, texts and the like."""
    return [each for each in values if id(type(each)) not in _ATOMS]


_OPEN_OF_IPYTHON = "builtins.open"
_qualified_name = type.__dict__["__qualname__"].__get__


def _module_of_class(kind: Any) -> Optional[str]:
    module = _plain(_class_dict(kind)).get("__module__") if _flags(kind) & _HEAP else _static_module(kind)
    return _text(module)


def _is_of_host(function: Any) -> bool:
    """Return whether a function belongs to the kernel rather than to the user."""
    kind = type(function)
    if kind is types.MethodType:
        return _is_of_host(function.__func__)
    if _is_one_of(kind, (types.FunctionType, types.BuiltinFunctionType)):
        module = _text(function.__module__) or ""
    elif kind is functools.partial:
        return _is_of_host(function.func) and _are_of_host((*function.args, *function.keywords.values()))
    else:
        module = _module_of_class(kind) or ""
    return module.partition(".")[0] in (*_HOSTS, "asyncio", "_asyncio")


def _are_of_host(values: Any) -> bool:
    return all(id(type(each)) in _ATOMS or _is_of_host(each) for each in values)


def _is_alone(loaded: Dict[str, Any]) -> bool:
    """Return whether no thread, task or timer but those of the kernel could run code during a cell."""
    threading, asyncio, signal = map(loaded.get, ("threading", "asyncio", "_signal"))
    if threading:
        if _thread._count() > len(threading._active) - 1:
            return False  # `_thread` has started one
        main = threading.main_thread()
        for thread in [*threading._active.values()]:
            module = _module_of_class(type(thread)) or ""
            if thread is main or module.startswith(_HOST_THREADS):
                continue
            target = vars(thread).get("_target") if type(thread) is threading.Thread else None
            function = target.__func__ if type(target) is types.MethodType else target
            own = _text(function.__module__) if type(function) is types.FunctionType else None
            if not (own or "").startswith(_HOST_THREADS):
                return False
    if asyncio:
        loop = asyncio._get_running_loop()
        for task in asyncio.all_tasks(loop) if loop else ():
            waiting = task.get_coro() if type(task) is asyncio.Task else None
            while type(waiting) is types.CoroutineType:
                frame = waiting.cr_frame
                name = _text(_plain(frame.f_globals).get("__name__")) if frame else None
                if (name or "").partition(".")[0] not in (*_HOSTS, "asyncio"):
                    return False
                waiting = waiting.cr_await
            if waiting is not None and not _is_of_host(waiting):
                return False
        for handle in [*getattr(loop, "_scheduled", ()), *getattr(loop, "_ready", ())]:
            is_of_host = _is_of_host(handle._callback) and _are_of_host(handle._args or ())
            if not (handle._cancelled or is_of_host):
                return False
    return not (signal and hasattr(signal, "getitimer") and any(signal.getitimer(n)[0] for n in range(3)))


def _callbacks(shell: Any) -> List[Any]:
    """Return what IPython calls before it runs a cell."""
    callbacks = shell.events.callbacks if shell else {}
    return [each for event in ("pre_execute", "pre_run_cell") for each in callbacks.get(event, ())]


def _has_hooks(shell: Any) -> bool:
    """Return whether the user's code runs before a cell, or changes it."""
    if not shell:
        return False
    inputs = shell.input_transformer_manager
    functions = (*_callbacks(shell), *inputs.cleanup_transforms, *inputs.line_transforms)
    changes = (*shell.ast_transformers, *shell.input_transformers_post)
    is_changed = changes or shell.ast_node_interactivity not in ("last_expr", "none")
    kinds = [(_module_of_class(each) or "").partition(".")[0] for each in inputs.token_transformers]
    own = [getattr(each.__self__, "__dict__", {}) for each in _callbacks(shell) if _is_reloader(each)]
    adds_names = any(getattr(each.get("_reloader"), "autoload_obj", False) for each in own)
    is_changed = is_changed or adds_names or not {*kinds} <= {*_HOSTS}
    return bool(is_changed) or not all(map(_is_of_host, functions))


def _commands(shell: Any) -> Dict[str, bool]:
    """Return the aliases and the user's magics, with whether they run code of the user."""
    found: Dict[str, bool] = {}
    for magics in shell.magics_manager.magics.values():
        for name, function in magics.items():
            kind = _class_name(type(function))
            is_own = (kind == "MagicAlias" and name not in _MAGIC_ALIASES) or not _is_of_host(function)
            if _text(name) and (is_own or kind == "Alias"):
                found[name] = is_own or found.get(name, False)
    return found


def _reloads(shell: Any) -> bool:
    """Return whether IPython loads changed modules again before it runs a cell."""
    return any(map(_is_reloader, _callbacks(shell)))


def _is_reloader(callback: Any) -> bool:
    function = callback.__func__ if type(callback) is types.MethodType else None
    return type(function) is types.FunctionType and "autoreload" in (_text(function.__module__) or "")


def _field(error: Any, kind: Any, name: str) -> Any:
    """Read a field of a built-in exception class, bypassing overrides in subclasses; None if absent."""
    member = _class_dict(kind).get(name)
    return member.__get__(error) if member and _is_one_of(kind, _mro(type(error))) else None


def _last_error() -> Any:
    """Return the last unhandled exception, or None."""
    own = _plain(_module_dict(sys))
    found = (own.get("last_value"), own.get("last_exc"))
    return next((value for value in found if _is_one_of(BaseException, _mro(type(value)))), None)


def _frames(error: Any, namespace: Any, end: float) -> Tuple[List[Dict[str, Any]], Dict[str, Any], Any]:
    """Return the last frames of an exception, the local names of the last one in the notebook, and the last.

    Columns are looked up until the time `end`, those of the last frames first.
    """
    step, inside = _field(error, BaseException, "__traceback__"), None
    last: Any = deque(maxlen=MOST_FRAMES)
    for _ in range(MOST_STEPS):
        if step is None:
            break
        last.append(step)
        if step.tb_frame.f_globals is namespace:
            inside = step
        step = step.tb_next
    steps = [*last] if inside is None or _is_one_of(inside, last) else [inside, *last]
    frames = [_frame_at(each, columns=thread_time() < end) for each in reversed(steps)][::-1]
    frames = [frame for frame in frames if frame["file"] is not None]
    innermost = last[-1].tb_frame if last else None
    return frames, _locals(inside.tb_frame) if inside is not None else {}, innermost


def _frame_at(step: Any, *, columns: bool) -> Dict[str, Any]:
    """Return the position of an entry of a traceback."""
    code, line = step.tb_frame.f_code, step.tb_lineno
    frame = {"file": _text(code.co_filename, LONGEST_PATH), "line": line or 0}
    # Since Python 3.11. The positions are compressed, so those of all instructions before are read.
    if columns and step.tb_lasti <= MOST_CODE and hasattr(code, "co_positions"):
        _, end_line, column, end_column = next(
            islice(code.co_positions(), step.tb_lasti // 2, None), (None, None, None, None)
        )
        frame.update(end_line=end_line, column=column, end_column=end_column)
    return frame


def _locals(frame: Any) -> Dict[str, Any]:
    """Return the local variables of a function's frame."""
    if not frame.f_code.co_flags & _OPTIMIZED:
        return {}  # the namespace, or that of a class, which may be a user's object
    variables = frame.f_locals
    return _plain(variables) if _is_fixed(type(variables)) else {}


def _error(look: _ErrorLook, error: Any, frames: List[Dict[str, Any]], last: Any) -> Dict[str, Any]:
    """Describe an exception by those of its fields that are plain data."""
    kinds = [kind for kind in (NameError, AttributeError, ImportError) if _is_one_of(kind, _mro(type(error)))]
    name = next((_text(_field(error, kind, "name")) for kind in kinds), None)
    arguments = _field(error, BaseException, "args")
    is_key = _is_one_of(KeyError, _mro(type(error))) and len(arguments) == 1
    is_file = _is_one_of(FileNotFoundError, _mro(type(error)))
    described: Dict[str, Any] = {
        "type": _text(_class_name(type(error))) or "",
        "name": name,
        "key": _text(arguments[0], LONGEST_LABEL) if is_key else None,
        "path": _text(_field(error, OSError, "filename"), LONGEST_PATH) if is_file else None,
        "frames": frames,
    }
    if name is not None and (obj := _field(error, AttributeError, "obj")) is not None:
        described["object"] = _safely(look.describe, obj)
    elif name is not None and arguments and _UNKNOWN_KEYWORD.search(_text(arguments[0]) or ""):
        described["object"] = _safely(lambda: look.describe_artist(_locals(last)["self"]))
    return described


def _names_in(folder: str) -> List[str]:
    """Return the names in a folder; those of folders end with a slash."""
    names = []
    with suppress(OSError, ValueError), os.scandir(folder or ".") as entries:
        for entry in islice(entries, MOST_FILES):
            name = _text(entry.name, LONGEST_LABEL - 1)
            if name is not None and not name.startswith("."):
                # A link may lead to a disk that does not answer.
                names.append(name + "/" if entry.is_dir(follow_symlinks=False) else name)
    return sorted(names)


def _pairs(name: str) -> Any:
    return set(zip(name.lower(), name.lower()[1:]))


def _automounts() -> Tuple[str, ...]:
    """Return the folders below which access to a folder may mount a disk."""
    with suppress(OSError, ValueError), open("/proc/self/mounts", encoding="utf-8") as mounts:  # noqa: PTH123
        fields = [line.split() for line in mounts.read(MOST_MOUNTS).splitlines()]
        return tuple(found[1].rstrip("/") + "/" for found in fields if found[2:3] == ["autofs"])
    return ()


def _is_on(device: int, folder: str, automounts: Tuple[str, ...]) -> bool:
    """Return whether a folder is on a disk that has answered."""
    if (os.path.abspath(folder) + "/").startswith(automounts):  # noqa: PTH100
        return False
    try:
        found = os.lstat(folder or ".")
    except (OSError, ValueError):
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_dev == device


def _folders(path: str) -> List[Dict[str, Any]]:
    """List the folder of a missing file, or the nearest that exists, and similar folders near it."""
    join, isdir = os.path.join, os.path.isdir
    (folder, name), missing = os.path.split(path), ""
    rest: List[str] = []
    while folder and not isdir(folder):
        folder, part = os.path.split(folder)
        rest, missing = [missing, *rest] if missing else rest, part
        if not part or len(rest) > MOST_MISSING:
            return []
    device, automounts, names = os.stat(folder or ".").st_dev, _automounts(), _names_in(folder)  # noqa: PTH116

    def inside(parent: str, listed: List[str]) -> List[str]:
        found = [join(parent, each[:-1]) for each in listed if each.endswith("/")][:MOST_AROUND]
        return [each for each in found if _is_on(device, each, automounts)]

    around = [join(each, *rest) for each in inside(folder, names)]
    if not missing:
        missing, parent = os.path.split(folder)[1], os.path.normpath(join(folder, os.pardir))
        parent = "" if parent == "." else parent
        if _is_on(device, parent, automounts):
            around += [parent, *inside(parent, _names_in(parent))]

    def order(each: str) -> Tuple[bool, int]:
        alike = len(_pairs(missing) & _pairs(each[len(folder) :]))
        return not os.path.exists(join(each, name)), -alike  # noqa: PTH110

    others = [each for each in dict.fromkeys(around) if each != folder][:MOST_AROUND]
    nearest = sorted(others, key=order)[: MOST_NEAR - 1]
    listed = [(folder, names), *((each, _names_in(each)) for each in nearest)]
    return [{"path": each.replace(os.sep, "/"), "names": found} for each, found in listed]


def report(namespace: Any, wanted: Any, traced: Any = None, shell: Any = None) -> Dict[str, Any]:
    """Describe the last error, and the objects of expressions that it may concern.

    For a check, which has `traced` expressions, describe the objects of the wanted expressions in the
    namespace, and add the records of the traced ones and the names of built-in objects.
    """
    if not _is_one_of(dict, _mro(type(namespace))):
        return {}
    is_check = type(traced) is list
    tracer = _CheckLook(namespace) if is_check else None
    look = tracer or _ErrorLook(full=True)
    error, left = None if is_check else _last_error(), MOST_REPORT_BYTES
    last = _last(namespace)
    scope = {name: value for name, value in reversed(last) if type(name) is str}
    reported: Dict[str, Any] = {}
    if error is not None:
        frames, variables, innermost = _frames(error, namespace, look.end)
        scope.update(variables)
        reported["error"] = _error(look, error, frames, innermost)
        path = reported["error"]["path"]
        with suppress(OSError, ValueError):
            if path:
                reported["folders"] = _folders(path)
            elif _is_one_of(ImportError, _mro(type(error))):
                reported["folders"] = [{"path": "", "names": _names_in("")}]
    described: Dict[str, Any] = {}
    for expression in _texts(wanted, MOST_WANTED, LONGEST_LABEL):
        if left < 0 or thread_time() > look.end:
            break
        if found := _safely(look.describe_found, expression, scope):
            described[expression] = found
            left -= _size(found)
    names = [name for name in reversed([*scope]) if _is_public(name) and name not in _SHELLS]
    if tracer:
        names += filter(_is_public, _plain(_module_dict(builtins)))  # the user may have added some
        cells = scope.get("In")  # the sources of all executed cells, after an empty one
        reported["executions"] = len(cells) - 1 if type(cells) is list else None
        commands = _safely(_commands, shell) if shell else {}
        has_hooks = _has_hooks(shell) or _safely(tracer.has_foreign_plugins) is not False
        reported["alone"] = _is_alone(tracer.loaded) and not has_hooks and commands is not None
        reported.update(_safely(_folder) or {}, reloads=_reloads(shell), commands=commands or {})
        objects = {**_plain(_module_dict(builtins)), **scope}
        reported["extended"] = _safely(tracer.has_foreign_members) is not False
        reported["records"] = records = {}
        for expression in _texts(traced, MOST_TRACED, LONGEST_LABEL):
            if thread_time() > look.end:
                reported["alone"] = False  # an object without a record may be any
                break
            if found := _safely(tracer.record, expression, objects):
                records[expression] = found
    kept = []
    for name in names:
        left -= len(name) + 4
        if left < 0:
            break
        kept.append(name)
    complete = len(kept) == len(names) and len(last) < MOST_LOOKED_AT
    if is_check:  # other keys may equal a name, and another class may compute its items
        complete = complete and len(scope) == len(last) and type(namespace) is dict
    return {**reported, "objects": described, "names": kept, "all": complete}


def _answer(namespace: Any, message: Any, shell: Any = None) -> Dict[str, Any]:
    """Return the answer to a query: the kernel context, a report if it names expressions, or both."""
    asked = _safely(lambda: message["content"]["data"])
    if type(asked) is dict and type(asked.get("texts")) is list:
        return _safely(texts, namespace, asked["texts"]) or {"texts": []}
    if type(asked) is not dict or type(asked.get("wanted")) is not list:
        return facts(namespace)
    traced = asked.get("traced")
    answer = {} if type(traced) is list else facts(namespace)
    if reported := _safely(report, namespace, asked["wanted"], traced, shell):
        answer["report"] = reported
    return answer


def install(target: str) -> None:
    """Register a comm target that answers queries without history, hooks or output."""
    from IPython import get_ipython

    shell = get_ipython()
    manager = shell.kernel.comm_manager

    def answer(comm: Any, message: Any) -> None:
        try:
            comm.send(_answer(shell.user_ns, message, shell))
            if hasattr(manager, "comm_close"):  # not in kernels other than ipykernel
                # Close it as if the client had: every page logs an error for a published close of an unknown
                # comm, while it ignores an answer.
                manager.comm_close(None, None, {"content": {"comm_id": comm.comm_id}})
        finally:
            comm.close()  # publishes nothing if it is already closed

    manager.register_target(target, answer)
