"""Names that newer versions of libraries have renamed or moved. Pure."""

from __future__ import annotations

import ast
import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.analysis.parsed_cell import expression_of
from jupyter_turbopilot.fixes.attributes import missing_attribute
from jupyter_turbopilot.protocol.fix import MOST_TITLE
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.analysis.kernel_context import ObjectInfo
    from jupyter_turbopilot.analysis.report import ObjectDescription
    from jupyter_turbopilot.fixes.failed_cell import FailedCell
    from jupyter_turbopilot.protocol.fix import Edit, Fix

# Owner, the first version without the old names, or else with the new ones, and old=new names. `.name` is a
# full name, `/name` a built-in name, `<name` a name to import. `name:1` takes at most one positional
# argument, `name(x=1)` one argument and a further one.
_TABLE = """
numpy 1.24 bool=/bool complex=/complex float=/float int=/int object=/object str=/str
numpy 2.0 alltrue=all cumproduct=cumprod product=prod sometrue=any round_=round
numpy 2.0 asfarray=asarray(dtype=float) in1d=isin row_stack=vstack trapz=trapezoid mat=asmatrix
numpy 2.0 Inf=inf Infinity=inf infty=inf PINF=inf NaN=nan float_=float64 complex_=complex128
numpy 2.0 string_=bytes_ unicode_=str_ longfloat=longdouble singlecomplex=complex64 cfloat=complex128
numpy 2.0 clongfloat=clongdouble longcomplex=clongdouble compare_chararrays=char.compare_chararrays
numpy 2.0 AxisError=exceptions.AxisError ComplexWarning=exceptions.ComplexWarning
numpy 2.0 RankWarning=exceptions.RankWarning
numpy 2.0 VisibleDeprecationWarning=exceptions.VisibleDeprecationWarning
pandas 1.0 scatter_matrix=plotting.scatter_matrix
pandas 2.0 datetime=<datetime
pandas.DataFrame 2.0 iteritems=items
pandas.DataFrame 1.0 as_matrix=to_numpy:0 get_values=to_numpy:0
pandas.DataFrame 2.1 applymap=map
pandas.Series 2.0 iteritems=items is_monotonic=is_monotonic_increasing
pandas.Series 1.0 as_matrix=to_numpy:0 get_values=to_numpy:0
pandas.Index 2.0 is_monotonic=is_monotonic_increasing
scipy.integrate 1.14 cumtrapz=cumulative_trapezoid simps=simpson:1 trapz=trapezoid
scipy.linalg 1.9 pinv2=pinv:1
scipy.misc 1.3 comb=.scipy.special.comb:2 factorial=.scipy.special.factorial
scipy.misc 1.3 logsumexp=.scipy.special.logsumexp
scipy.misc 1.12 ascent=.scipy.datasets.ascent electrocardiogram=.scipy.datasets.electrocardiogram
scipy.misc 1.12 face=.scipy.datasets.face
scipy.signal 1.13 bartlett=windows.bartlett blackman=windows.blackman boxcar=windows.boxcar
scipy.signal 1.13 gaussian=windows.gaussian hamming=windows.hamming hann=windows.hann kaiser=windows.kaiser
sklearn 0.20 cross_validation=model_selection grid_search=model_selection learning_curve=model_selection
sklearn.datasets 0.24 samples_generator=.sklearn.datasets
sklearn.externals 0.23 joblib=.joblib
sklearn.linear_model 0.24 logistic=.sklearn.linear_model
sklearn.ensemble 0.24 forest=.sklearn.ensemble
sklearn.CountVectorizer 1.2 get_feature_names=get_feature_names_out
sklearn.TfidfVectorizer 1.2 get_feature_names=get_feature_names_out
sklearn.DictVectorizer 1.2 get_feature_names=get_feature_names_out
sklearn.OneHotEncoder 1.2 get_feature_names=get_feature_names_out
sklearn.PolynomialFeatures 1.2 get_feature_names=get_feature_names_out
sklearn.ColumnTransformer 1.2 get_feature_names=get_feature_names_out
matplotlib.cm 3.9 get_cmap=.matplotlib.pyplot.get_cmap
builtins.dict 3.0 iteritems=items iterkeys=keys itervalues=values
matplotlib.Legend 3.9 legendHandles=legend_handles
"""
_DOTTED = re.compile(r"[\w.]++(?: as \w++)?")
_WORD = re.compile(r"\w++")
_QUOTED = re.compile(r"(?<=')[\w.]++(?=')")
_VERSION = re.compile(r"\d{1,9}")
_APPEND = frozenset({"ignore_index", "verify_integrity", "sort"})  # parameters of `append` and `concat`


class _Change(NamedTuple):
    """The new name of an object."""

    since: str  # version
    name: str  # relative to the owner, unless `kind` is set
    kind: str = ""  # a sign of the table
    positional: int | None = None  # maximum number of positional arguments; None: as before
    argument: str = ""  # to add


def _changes() -> Iterator[tuple[tuple[str, str], _Change]]:
    for line in _TABLE.strip().splitlines():
        owner, since, *pairs = line.split()
        for pair in pairs:
            old, _, new = pair.partition("=")
            kind, rest = (new[0], new[1:]) if new[0] in "./<" else ("", new)
            name, _, argument = rest.rstrip(")").partition("(")
            name, _, most = name.partition(":")
            positional = 1 if argument else int(most) if most else None
            yield (owner, old), _Change(since, name, kind, positional, argument)


_CHANGES = dict(_changes())


def find(failure: FailedCell) -> Iterator[Fix]:
    """Find the new name of an attribute or import that a library has renamed."""
    found = [*islice(filter(None, _edits(failure)), 2)]
    if len(found) == 1:
        edit = next(each for each in found[0] if each.old)
        old, new = _changed_part(edit.old, edit.text.rpartition("\n")[2])
        title = (
            f"Replace {old} with {new}?" if len(old + new) <= MOST_TITLE else f"Use {new.partition('(')[0]}?"
        )
        yield from failure.fix(title, found[0], 0.95, "api")


def _edits(failure: FailedCell) -> Iterator[list[Edit]]:
    """Yield the edits for each node, or empty lists."""
    if failure.name == "AttributeError":
        missing, named = missing_attribute(failure), frozenset(_WORD.findall(failure.message))
        for node in failure.nodes(ast.Attribute):
            if node.attr in named:
                yield _attribute(failure, node, is_missing=node is missing)
    else:
        quoted_names = frozenset(_QUOTED.findall(failure.message))
        for statement in failure.nodes(ast.ImportFrom):
            yield _import_from(failure, statement, quoted_names)
        for each in failure.nodes(ast.Import):
            yield _import(failure, each, quoted_names)


def _changed_part(old: str, new: str) -> tuple[str, str]:
    """Return two dotted names without the module and the alias that they share; other texts as they are."""
    if not (_DOTTED.fullmatch(old) and _DOTTED.fullmatch(new)):
        return old, new
    while "." in old and "." in new and old.partition(".")[0] == new.partition(".")[0]:
        old, new = old.partition(".")[2], new.partition(".")[2]
    (one, _, alias), (other, _, its) = old.partition(" as "), new.partition(" as ")
    return (one, other) if alias == its else (old, new)


# Attributes ----------------------------------------------------------------------------------------------


def _attribute(failure: FailedCell, node: ast.Attribute, *, is_missing: bool) -> list[Edit]:
    """Return the edits that rename an attribute, if the error is about it."""
    error = failure.report.error
    described = failure.described(node.value)
    if error and error.object and is_missing:
        described = error.object
    if described is None:
        return []
    is_append = (_owner(described), node.attr) == ("pandas.DataFrame", "append")
    change = _CHANGES.get((_owner(described), node.attr))
    if not (is_append or (change and _applies(failure, change, described))):
        return []
    called = failure.parsed.call_of(node) if failure.parsed else None
    if is_append:
        return _concatenation(failure, node, called, described)
    if change is None or not _accepts(change, called):
        return []
    new = _expression(failure, node, change)
    start, end = failure.span(node)
    edits = [failure.edit(start if change.kind else end - len(node.attr), end, new)] if new else []
    if edits and change.kind == "<":
        return failure.with_import(f"from {change.name} import {new}", edits)
    if edits and change.argument and called:
        _, end = failure.span(called.args[0])
        edits.append(failure.edit(end, end, f", {change.argument}"))
    return edits


def _owner(described: ObjectDescription) -> str:
    return described.name or f"{(described.module or '').partition('.')[0]}.{described.type}"


def _applies(failure: FailedCell, change: _Change, described: ObjectDescription) -> bool:
    """Return whether the version has the new name, or else the attributes contain it."""
    if described.version:
        return _numbers(described.version) >= _numbers(change.since)
    if not change.kind:
        return change.name.partition(".")[0] in (described.attributes or ())
    module, _, name = change.name.rpartition(".")
    return any(
        known.name == module and name in (known.attributes or ()) for known in _known(failure).values()
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _VERSION.findall(version)[:2])


def _accepts(change: _Change, call: ast.Call | None) -> bool:
    """Return whether the renamed function accepts a call's arguments."""
    if change.positional is None:
        return True
    if call is None or any(isinstance(argument, ast.Starred) for argument in call.args):
        return False
    if change.argument:
        return len(call.args) == 1 and not call.keywords
    return len(call.args) <= change.positional


def _expression(failure: FailedCell, node: ast.Attribute, change: _Change) -> str:
    """Return the new expression for an attribute, or its new name; "" if a module is not at hand."""
    if change.kind == "<":
        return change.name if failure.report.all and change.name not in failure.report.names else ""
    if change.kind != ".":
        return change.name
    module, _, name = change.name.rpartition(".")
    if bound := module_expression(failure, module):
        return f"{bound}.{name}"
    # SciPy imports its subpackages at their first use.
    is_of_scipy = (expression_of(node.value) or "").startswith("scipy.")
    return change.name if module.startswith("scipy.") and is_of_scipy else ""


def module_expression(failure: FailedCell, module: str) -> str:
    """Return the shortest expression for a module, or an empty string."""
    names = (name for name, described in _known(failure).items() if described.name == module)
    return min(names, key=len, default="")


def _known(failure: FailedCell) -> dict[str, ObjectInfo | ObjectDescription]:
    count_operations((len(failure.kernel_context.names) + len(failure.report.objects)) // 8)
    return {**failure.kernel_context.names, **failure.report.objects}


def _concatenation(
    failure: FailedCell, node: ast.Attribute, call: ast.Call | None, described: ObjectDescription
) -> list[Edit]:
    """Return the edit that replaces `a.append(b)` of tables by `pd.concat([a, b])`."""
    pandas = module_expression(failure, "pandas")
    if not (pandas and call and len(call.args) == 1 and _numbers(described.version or "") >= (2,)):
        return []
    (other,) = call.args
    others = other.elts if isinstance(other, ast.List) else [other]
    if not others or not all(_is_table(failure, each, pandas) for each in others):
        return []
    if any(each.arg not in _APPEND for each in call.keywords):
        return []
    tables = ", ".join(_source(failure, each) for each in (node.value, *others))
    options = "".join(f", {_source(failure, each)}" for each in call.keywords)
    return [failure.edit(*failure.span(call), f"{pandas}.concat([{tables}]{options})")]


def _is_table(failure: FailedCell, node: ast.expr, pandas: str) -> bool:
    described = failure.described(node)
    made = isinstance(node, ast.Call) and expression_of(node.func) == f"{pandas}.DataFrame"
    return made or (described is not None and _owner(described) == "pandas.DataFrame")


def _source(failure: FailedCell, node: ast.expr | ast.keyword) -> str:
    start, end = failure.span(node)
    return failure.source[start:end]


# Imports -------------------------------------------------------------------------------------------------


def _import(failure: FailedCell, node: ast.Import, quoted_names: AbstractSet[str]) -> list[Edit]:
    """Return the edit that renames an imported module."""
    renamed = [
        failure.edit(*failure.span(alias), f"{new} as {alias.asname}")
        for alias in node.names
        if alias.asname and (new := _module(failure, alias.name, quoted_names))
    ]
    return renamed if len(node.names) == 1 else []


def _import_from(failure: FailedCell, node: ast.ImportFrom, quoted_names: AbstractSet[str]) -> list[Edit]:
    """Return the edits that rename a module or imported names. `quoted_names`: the names in the message.

    The error shows that the package exists without the old name.
    """
    if not node.module or node.level:
        return []
    start, end = failure.span(node)
    if new := _module(failure, node.module, quoted_names):
        return _edit_of_module(failure, node, new)
    edits = []
    for alias in node.names:
        change = _CHANGES.get((node.module, alias.name))
        if not change or change.kind in {"/", "<"} or alias.name not in quoted_names:
            continue
        if not _fits_version(failure, node.module, change) or not _accepts_all(failure, alias, change):
            return []
        module, _, name = change.name.rpartition(".")
        module = module if change.kind else ".".join(filter(None, (node.module, module)))
        name = name if name == (alias.asname or alias.name) else f"{name} as {alias.asname or alias.name}"
        if module == node.module:
            edits.append(failure.edit(*failure.span(alias), name))
        elif len(node.names) == 1 and module and name in {alias.name, f"{alias.name} as {alias.asname}"}:
            edits += _edit_of_module(failure, node, module)
        elif len(node.names) == 1:
            statement = f"from {module} import {name}" if module else f"import {name}"
            edits.append(failure.edit(start, end, statement))
    return edits


def _edit_of_module(failure: FailedCell, node: ast.ImportFrom, new: str) -> list[Edit]:
    """Return the edit that replaces the module of a statement."""
    start, end = failure.span(node)
    old = node.module or ""
    at = failure.source.find(old, start, end)
    return [failure.edit(at, at + len(old), new)] if at > 0 else []


def _module(failure: FailedCell, module: str, quoted_names: AbstractSet[str]) -> str:
    """Return the new name of a module that the error reports as missing; "" if it has none."""
    owner, _, old = module.rpartition(".")
    change = _CHANGES.get((owner, old))
    if not change or module not in quoted_names or not _fits_version(failure, owner, change):
        return ""
    return change.name if change.kind else f"{owner}.{change.name}"


def _fits_version(failure: FailedCell, module: str, change: _Change) -> bool:
    described = failure.report.objects.get(module.partition(".")[0])
    return not (described and described.version) or _numbers(described.version) >= _numbers(change.since)


def _accepts_all(failure: FailedCell, alias: ast.alias, change: _Change) -> bool:
    """Return whether the renamed function accepts all calls in the cell."""
    cell, bound = failure.parsed, alias.asname or alias.name
    if cell is None or change.argument:
        return False
    count_operations(len(cell.nodes) // 4)
    uses = (node for node in cell.nodes if isinstance(node, ast.Name) and node.id == bound)
    return all(_accepts(change, call) for use in uses if (call := cell.call_of(use)))
