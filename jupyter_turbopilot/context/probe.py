"""Runs inside the person's kernel: says what its names are, without running any code of the person's.

This file's text is sent to the kernel, which need not have this package and may be an older Python.
Objects are told apart by their exact class, found in modules that are imported already. Of those classes the
accessors that are named here are read; of everything else the name of its type, and what its classes and its
own dictionary hold, looked up past any `__getattr__`, `__getattribute__`, property or metaclass of theirs.
No value is read.
"""

import sys
import types
from typing import Any, Dict, List, Optional, Set, Tuple

MOST_NAMES, MOST_ATTRIBUTES, MOST_COLUMNS, MOST_BYTES = 200, 1500, 200, 256 * 1024
LONGEST = 120

_class_dict = type.__dict__["__dict__"].__get__
_mro = type.__dict__["__mro__"].__get__
_class_name = type.__dict__["__name__"].__get__
_class_module = type.__dict__["__module__"].__get__
_FRAMES = (("pandas", "DataFrame"), ("polars", "DataFrame"))
_ARRAYS = (("numpy", "ndarray"), ("torch", "Tensor"), ("pandas", "Series"), ("polars", "Series"))
_PLAIN = (int, float, complex, bool, str, bytes, list, tuple, dict, set, frozenset, type(None))


def _known(table: Any) -> Dict[int, str]:
    """Find the classes of a table in what is imported already, by identity."""
    found: Dict[int, str] = {}
    for module, name in table:
        loaded = sys.modules.get(module)
        if type(loaded) is types.ModuleType:
            kind = types.ModuleType.__getattribute__(loaded, "__dict__").get(name)
            if isinstance(kind, type):
                found[id(kind)] = module
    return found


def _words(names: Any) -> List[str]:
    """Keep public names that are plain text."""
    found = [
        name for name in names if type(name) is str and not name.startswith("_") and len(name) <= LONGEST
    ]
    return sorted(found)[:MOST_ATTRIBUTES]


def _text(value: Any) -> Optional[str]:
    return value[:LONGEST] if type(value) is str else None


def _dtype(value: Any) -> str:
    """Word a column's or an array's type, if it is one of numpy's, pandas', polars' or torch's own."""
    kind = type(value)
    module = _class_module(kind)
    if type(value) is type or isinstance(kind, type):
        own = module if kind is not type else _class_module(value)
        if type(own) is str and own.split(".")[0] in ("numpy", "pandas", "polars", "torch"):
            return str(value)[:LONGEST]
    return "object"


def _frame(value: Any, module: str) -> Dict[str, Any]:
    if module == "pandas":
        labels = [label if type(label) is str else None for label in value.columns]
        kinds = [_dtype(kind) for kind in value.dtypes.array]
    else:
        labels, kinds = list(value.columns), [_dtype(kind) for kind in value.dtypes]
    pairs = [
        [label, kind] for label, kind in zip(labels, kinds) if label is not None and len(label) <= LONGEST
    ]
    return {"columns": pairs[:MOST_COLUMNS], "all": len(pairs) == len(labels) <= MOST_COLUMNS}


def _array(value: Any) -> Dict[str, Any]:
    shape = value.shape
    return {
        "shape": [int(size) for size in shape][:8] if isinstance(shape, tuple) else [],
        "dtype": _dtype(value.dtype),
    }


def _parameters(function: Any) -> Optional[Dict[str, Any]]:
    """Read a function's parameters off its code: nothing of it is called or unwrapped."""
    code, own = function.__code__, function.__dict__
    if "__wrapped__" in own or "__signature__" in own:
        return None
    count = code.co_argcount + code.co_kwonlyargcount
    return {
        "parameters": list(code.co_varnames[:count]),
        "positional": code.co_argcount,
        "open": bool(code.co_flags & 8),
    }


def _class_attributes(kind: Any) -> Tuple[Set[str], bool]:
    """Return the names a class holds, and whether there may be others that only its code knows."""
    names: Set[str] = set()
    may_have_more = type(kind) is not type
    for one in _mro(kind):
        if one is object:
            continue
        held = _class_dict(one)
        names.update(name for name in held if type(name) is str)
        may_have_more = may_have_more or "__getattr__" in held or "__getattribute__" in held
    return names, may_have_more


def _instance_attributes(value: Any) -> Optional[List[Any]]:
    """Return the names in an object's own dictionary, unless a class of it hides that."""
    for one in _mro(type(value)):
        found = _class_dict(one).get("__dict__")
        if found is not None:
            if type(found) is not types.GetSetDescriptorType:
                return None
            held = found.__get__(value)
            return list(held) if type(held) is dict else None
    return []


def _describe(value: Any, frames: Dict[int, str], arrays: Dict[int, str]) -> Dict[str, Any]:
    kind = type(value)
    found: Dict[str, Any] = {"type": _text(_class_name(kind)), "module": _text(_class_module(kind))}
    if id(kind) in frames:
        found.update(_frame(value, frames[id(kind)]))
        names, _ = _class_attributes(kind)
        found["attributes"] = _words(names)
    elif id(kind) in arrays:
        found.update(_array(value))
        names, more = _class_attributes(kind)
        if not more:
            found["attributes"] = _words(names)
    elif kind is types.ModuleType:
        held = types.ModuleType.__getattribute__(value, "__dict__")
        found["name"] = _text(held.get("__name__"))
        if "__getattr__" not in held:
            found["attributes"] = _words(list(held))
    elif kind is types.FunctionType:
        found.update(_parameters(value) or {})
    elif kind is type:
        names, more = _class_attributes(value)
        if not more:
            found["attributes"] = _words(names)
    elif not any(kind is plain for plain in _PLAIN):
        names, more = _class_attributes(kind)
        own = _instance_attributes(value)
        if not more and own is not None:
            found["attributes"] = _words({*names, *(name for name in own if type(name) is str)})
    else:
        found["attributes"] = _words(_class_attributes(kind)[0])
    return found


def facts(namespace: Dict[str, Any], hidden: Any = ()) -> Dict[str, Any]:
    """Describe the newest names of a namespace."""
    frames, arrays = _known(_FRAMES), _known(_ARRAYS)
    found: Dict[str, Any] = {}
    size = 0
    names = [n for n in list(namespace) if type(n) is str and not n.startswith("_") and n not in hidden]
    for name in reversed(names[-MOST_NAMES:]):
        value = namespace.get(name)
        try:
            described = _describe(value, frames, arrays)
        except Exception:  # noqa: BLE001 - whatever a foreign object does, its type's name is safe
            described = {"type": _text(_class_name(type(value)))}
        size += len(repr(described))
        if size > MOST_BYTES:
            break
        found[name] = described
    return {"names": found, "all": len(found) == len(names)}


def install(target: str) -> None:
    """Answer whoever opens a comm of this name, without history, hooks or output."""
    from IPython import get_ipython

    shell = get_ipython()

    def answer(comm: Any, _message: Any) -> None:
        try:
            comm.send(facts(shell.user_ns, shell.user_ns_hidden))
        finally:
            comm.close()

    shell.kernel.comm_manager.register_target(target, answer)
