"""Texts that the kernel or a folder knows: values of a column, labels, keys, file names, headers. Pure.

A place is where such a text is being typed. The texts that fit there are read and not generated.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from hashlib import blake2b
from os.path import commonprefix
from typing import TYPE_CHECKING, NamedTuple, Protocol

from jupyter_turbopilot.analysis.column_changes import changed_columns, changed_parts
from jupyter_turbopilot.analysis.languages import as_python
from jupyter_turbopilot.analysis.library_facts import FILES, MEMBERS, parameters
from jupyter_turbopilot.analysis.resolve import Scope, bindings
from jupyter_turbopilot.analysis.statements import Statement, text_before_line
from jupyter_turbopilot.analysis.texts import Readable, Texts, values_of_column
from jupyter_turbopilot.suggestion.candidates import (
    QUOTES,
    TYPED,
    at_cursor,
    is_in_long_string,
    is_in_python,
    lines_above,
    strings_in,
)
from jupyter_turbopilot.util.bounds import LINE, cached_function, count_operations
from jupyter_turbopilot.util.syntax_tree import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jupyter_turbopilot.analysis.statements import Bracket
    from jupyter_turbopilot.protocol.request import Completion

MOST_CHOICES = 100  # alternatives that a request returns
WORTH_A_KEY = 4  # characters of a common beginning that is shown
_EQUAL = frozenset({"==", "!="})
_DICTIONARIES = frozenset({"dict", "OrderedDict", "defaultdict", "list", "tuple", "module"})
_LISTS = frozenset({"loc", "at"})
# Methods of columns whose argument is a list, a tuple or a dictionary of values.
_IN_DISPLAYS = {"[": {"isin", "is_in", "replace"}, "(": {"isin", "is_in"}, "{": {"replace", "map"}}
_ORDERS = parameters("order")
# The endings of the files that a function reads.
_READERS = {name.rpartition(".")[2]: endings for name, endings in FILES.items()}
_ANY_FILE = frozenset({"open", "Path"})  # the file may be a new one
# Other methods with these names read no file.
_OWNERS = {
    "open": frozenset({"Image"}),
    "Path": frozenset({"pathlib"}),
    "load": frozenset({"np", "numpy", "joblib", "torch"}),
}
_GLOB = frozenset("*?[")
_JOINED = frozenset("+%.*'\"")  # signs after a string that is only a part of a text
_AFTER = frozenset("\"'\n \t)]},:;&|#")  # may follow the cursor; after others, it stands within a text
_PATHS = parameters("path") | {""}
_RUN = re.compile(r"^\s*+%(?P<magic>run|load)[ \t]++(?P<typed>[\w./-]*+)$")
# Another folder is that of the paths that follow.
_CHANGES_FOLDER = re.compile(r"\bchdir\b|^[ \t]*+%?(?:cd|pushd|popd)\b(?![ \t]*+[=.(\[,:])", re.MULTILINE)
_RUN_ENDINGS = {"run": (".py", ".ipynb"), "load": (".py",)}
# In a query: a column, and the beginning of a string that it is compared with.
_IN_QUERY = re.compile(
    r"(?:^|[(&|~,]|\b(?:and|or|not)\b)\s*+(?:(?P<name>[^\W\d]\w*+)|`(?P<quoted>[^`]++)`)\s*+"
    r"(?:[=!]=|(?:\bnot\s++)?\bin\s*+[\[(](?P<listed>(?:\s*+(?:'[^'\\]*+'|\"[^\"\\]*+\")\s*+,)*+))"
    r"\s*+(?P<quote>['\"])(?P<typed>[^'\"\\]*+)$"
)
# Arguments after which the first line of a file is not that of its columns.
_OTHER_HEADERS = parameters("layout") | {"delim_whitespace"}  # of pandas 2
_TABLE_READERS = {"read_csv": ",", "read_table": "\t"}
_LENIENT = frozenset({"drop", "get", "pop", "xs"})  # they may have a default, or another axis
# The names that the first argument of a method may be given, which is read.
_ARGUMENTS = {
    **dict.fromkeys(("eq", "ne", "replace", "get", "pop", "get_group"), frozenset({""})),
    "xs": frozenset({"", "key"}),
    "drop": frozenset({"", "index"}),
}


class Reader(Protocol):
    """The texts that have been read so far."""

    def find(self, readable: Readable) -> Texts | None:
        """Return the texts; None if they are unknown."""

    def is_awaited(self, readable: Readable) -> bool:
        """Return whether the texts will be known soon; if not, ask for them."""


class _NothingRead:
    """A reader of nothing: texts are unknown, and stay so."""

    def find(self, readable: Readable) -> Texts | None:  # noqa: ARG002 - for others
        return None

    def is_awaited(self, readable: Readable) -> bool:  # noqa: ARG002 - for others
        return False


NOTHING_READ = _NothingRead()


@dataclass(frozen=True)
class Readings:
    """The texts that were read for a request."""

    reader: Reader = NOTHING_READ
    headers: Mapping[str, Texts] = field(default_factory=dict)  # the columns of tables that are not read yet
    place: Place | None = None  # at the cursor, if its texts are known

    @property
    def texts(self) -> list[str] | None:
        """The texts that may continue what is typed at the cursor; None if they are unknown, or none may."""
        found = self.reader.find(self.place.readable) if self.place else None
        texts = texts_at(self.place, found) if self.place and found else []
        # Code may follow the only text.
        return texts if texts and texts != [self.place and self.place.typed] else None


NO_READINGS = Readings()


class Place(NamedTuple):
    """Where a text is being typed that can be read."""

    readable: Readable
    typed: str
    end: str  # the quote that closes it
    listed: frozenset[str] = frozenset()  # the texts beside it, which do not follow again
    endings: tuple[str, ...] = ()  # of files that fit
    must_exist: bool = True
    least: int = 0  # characters that must be typed before a text is certain


def digest_of(headers: Mapping[str, Texts]) -> str:
    """Return a digest of the columns of tables that are not read yet."""
    return blake2b(repr(sorted(headers.items())).encode(), digest_size=8).hexdigest() if headers else ""


def may_be_read(request: Completion) -> bool:
    """Return whether there may be a place or a header at the cursor: this is quick."""
    prefix = request.prefix
    line = prefix[-LINE:].rpartition("\n")[2]
    if line.lstrip().startswith("%") or any(line.count(quote) % 2 for quote in QUOTES):
        return True
    sources = (cell.source for cell in request.cells[: request.active] if cell.executed is not True)
    names_table = "." in line or not QUOTES.isdisjoint(line)
    return names_table and any("read_" in source for source in (prefix, *sources))


def place_at(request: Completion, scope: Scope) -> Place | None:
    """Return the place at the cursor, if there is one."""
    line, rest = request.prefix.rpartition("\n")[2], request.suffix.partition("\n")[0]
    if (found := _RUN.match(line)) and is_in_python(request):
        place = _file(found["typed"], "", _RUN_ENDINGS[found["magic"]])
    else:
        at = at_cursor(request, scope, QUOTES, rest) if _AFTER.issuperset(rest[:1]) else None
        place = _place(*at) if at and not is_in_long_string(request.prefix) else None
    if place and place.readable.kind == "files" and any(map(_CHANGES_FOLDER.search, _code_to_run(request))):
        return None
    return place


def texts_at(place: Place, found: Texts) -> list[str]:
    """Return the texts that may continue what is typed: the files that fit, or else others."""
    rests = [text for text in found.texts if text.startswith(place.typed) and text not in place.listed]
    if any(text.endswith(place.endings) for text in rests):
        return [text for text in rests if text.endswith(("/", *place.endings))]
    return rests


def certain_text(place: Place, texts: Sequence[str]) -> str:
    """Return the rest of the only text, with its quote, or a long common beginning; empty if it is open."""
    rest = commonprefix(texts)[len(place.typed) :]  # noqa: RUF071 - no paths
    is_long, fits = len(rest) >= WORTH_A_KEY, all(text.endswith(("/", *place.endings)) for text in texts)
    least = TYPED if place.endings and not fits else place.least
    if len(place.typed) < least or not (is_long or (place.typed and len(texts) == 1)):
        return ""
    return written(place, texts[0]) if len(texts) == 1 else rest


def written(place: Place, text: str) -> str:
    """Return what must be typed for a text, with the quote behind it; a folder stays open."""
    rest = text[len(place.typed) :]
    return rest if text.endswith("/") or not rest else rest + place.end


def lacks_text(prefix: str, text: str, scope: Scope, reader: Reader, waiting: Sequence[str] = ()) -> bool:
    """Return whether a text contains a string that certainly does not exist, or that is not yet known to.

    `waiting`: code that has not run, which may write files.
    """
    if reader is NOTHING_READ or QUOTES.isdisjoint(prefix.rpartition("\n")[2] + text):
        return False
    for statement, literal, is_open, rest in strings_in(prefix, text):
        # A sign that continues the expression makes the string a part of the text.
        place = _place(statement, scope) if _JOINED.isdisjoint(rest[:1]) else None
        if place is None or not place.must_exist:
            continue
        is_slice = place.readable.kind == "labels" and rest.startswith(":")
        is_written = place.readable.kind == "files" and any(
            literal in code or _CHANGES_FOLDER.search(code) for code in waiting
        )
        if not (is_slice or is_written) and _lacks(place, literal, reader, is_open=is_open):
            code = lines_above(prefix, text)
            changed = frozenset(name for name, _ in changed_columns(code) | changed_parts(code))
            if _place(statement, scope.without(changed)):
                return True
    return False


def _lacks(place: Place, literal: str, reader: Reader, *, is_open: bool) -> bool:
    """Return whether a string at a place is certainly not one of its texts, or will be known soon."""
    if place.readable.kind == "files":
        path = literal if is_open else literal.rstrip("/")
        file = _file(path, place.end, place.endings) if _GLOB.isdisjoint(path) else None
        if file is None or file.typed.startswith("."):
            return False
        place, literal = file, file.typed
    found = reader.find(place.readable)
    if found is None:
        return reader.is_awaited(place.readable)
    texts = (each.removesuffix("/") for each in found.texts)
    return found.all and not any(each.startswith(literal) if is_open else each == literal for each in texts)


def _place(statement: Statement, scope: Scope) -> Place | None:
    last = len(statement.lexemes) - 1
    literal = statement.lexemes[last]
    quote, typed = literal.text[:1], literal.text[1:]
    if literal.kind != "string" or quote not in QUOTES or literal.unclosed != quote or "\\" in typed:
        return None
    bracket = statement.open[-1] if statement.open else None
    if statement.text(last - 1) in _EQUAL:
        readable = _column(statement, last - 1, scope)
        return readable and Place(readable, typed, quote)
    is_element = bracket is not None and bracket.before == last - 1
    if bracket is None or not is_element:
        return None
    if bracket.sign == "(" and statement.is_operand(bracket.at - 1):
        return _in_call(statement, bracket, scope, typed, quote)
    if not statement.is_operand(bracket.at - 1):
        readable = None if bracket.keyword else _in_display(statement, bracket, scope)
        is_key = bracket.sign == "{"
        listed = frozenset(
            statement.text(at)[1:-1]
            for at in range(bracket.at + 1, last)
            if statement.kind(at) == "string" and not (is_key and statement.text(at + 1) != ":")
        )
        must_exist = len(statement.open) < 2 or statement.text(statement.open[-2].at - 1) != "drop"  # noqa: PLR2004
        return readable and Place(readable, typed, quote, listed, must_exist=must_exist)
    owner = bracket.at - 2
    is_label = statement.text(bracket.at - 1) in _LISTS and statement.text(owner) == "."
    # The line may be about to assign a new label or key.
    may_assign = statement.may_assign(bracket.at)
    least = TYPED if may_assign else 0
    readable = _labels(statement, owner, scope) if is_label else _keys(statement, bracket.at, scope)
    readable = None if bracket.number else readable
    return readable and Place(readable, typed, quote, must_exist=not may_assign, least=least)


def _in_call(statement: Statement, call: Bracket, scope: Scope, typed: str, quote: str) -> Place | None:
    """Return the place in the first argument of a call."""
    name, dot = statement.text(call.at - 1), call.at - 2
    is_method = statement.text(dot) == "."
    if name in _READERS and call.keyword in _PATHS and not call.number:
        owner = statement.text(dot - 1) if is_method else ""
        if owner not in _OWNERS.get(name, {owner}) and (is_method or name == "load"):
            return None
        endings = _READERS["imread" if owner == "Image" else name]
        return _file(typed, quote, endings, must_exist=owner == "Image" or name not in _ANY_FILE)
    if is_method and name == "query" and not call.number:
        return _in_query(statement, dot, scope, typed)
    if not is_method or call.number or call.keyword not in _ARGUMENTS.get(name, ()):
        return None
    readable = _METHODS[name](statement, dot, scope)
    return readable and Place(readable, typed, quote, must_exist=name not in _LENIENT)


def _in_display(statement: Statement, display: Bracket, scope: Scope) -> Readable | None:
    """Return what the elements of a list are, or the keys of a dictionary."""
    outer = statement.open[-2] if len(statement.open) > 1 else None
    if outer is None or outer.before != display.at - 1:
        return None
    name, dot, sign = statement.text(outer.at - 1), outer.at - 2, display.sign
    if outer.sign == "(" and sign == "[" and outer.keyword in _ORDERS:
        return _ordered(statement, outer, scope)
    if outer.sign not in {"(", "["} or outer.number or statement.text(dot) != ".":
        return None
    in_subscript = outer.sign == "[" and name in _LISTS
    if sign == "[" and (in_subscript or (name == "drop" and outer.keyword in _ARGUMENTS[name])):
        return _labels(statement, dot, scope)
    is_column = outer.sign == "(" and not outer.keyword and name in _IN_DISPLAYS.get(sign, ())
    return _column(statement, dot, scope) if is_column else None


def _column(statement: Statement, end: int, scope: Scope) -> Readable | None:
    """Return the values of the column that an expression before `end` selects."""
    last = end - 1
    if statement.text(last) == "]":
        start = statement.opener.get(last, -1)
        if last - start != 2 or statement.kind(start + 1) != "string":  # noqa: PLR2004 - one string
            return None
        return _values(statement, start, statement.text(start + 1)[1:-1], scope)
    if statement.text(last) == ")":
        return _polars_column(statement, last, scope)
    name = statement.text(last)
    if statement.kind(last) != "name":
        return None
    if statement.text(last - 1) == ".":
        return None if name in MEMBERS["pandas.DataFrame"] else _values(statement, last - 1, name, scope)
    is_series = scope.kinds.get(name) == "Series" and not _is_changed(name, scope)
    return Readable("values", name) if is_series else None


def _values(statement: Statement, end: int, label: str, scope: Scope) -> Readable | None:
    """Return the values of a column of the table before `end`."""
    base, start = statement.table(end)
    while not base and statement.text(start) == ")":
        call = statement.opener.get(start, -1)
        assigned = {*map(statement.text, range(call, start))}
        if statement.text(call - 1) != "assign" or not assigned.isdisjoint({"**", label}):
            return None
        base, start = statement.table(call - 2)
    if scope.kinds.get(base) != "DataFrame":
        base, added = statement.parameter(base)
        if scope.kinds.get(base) != "DataFrame" or label in added:
            return None
    # Filling adds a value.
    is_filled = "fillna" in map(statement.text, range(start, end))
    return None if is_filled or (base, label) in scope.changed else values_of_column(base, label)


def _polars_column(statement: Statement, last: int, scope: Scope) -> Readable | None:
    """Return the values of `pl.col("label")` in a call of a table's method."""
    start = statement.opener.get(last, -1)
    is_column = statement.text(start - 1) == "col" and statement.text(start - 2) == "."
    if not is_column or last - start != 2 or statement.kind(start + 1) != "string":  # noqa: PLR2004 - one string
        return None
    for call in reversed(statement.open):
        is_method = call.sign == "(" and statement.text(call.at - 2) == "."
        label = statement.text(start + 1)[1:-1]
        if is_method and (readable := _values(statement, call.at - 2, label, scope)):
            return readable
    return None


def _group(statement: Statement, end: int, scope: Scope) -> Readable | None:
    """Return the values of the column by which a table before `end` is grouped."""
    name = statement.text(end - 1)
    if scope.kinds.get(name) == "DataFrameGroupBy" and statement.text(end - 2) != ".":
        return Readable("values", name)
    start = statement.opener.get(end - 1, -1)
    is_group = statement.text(start - 1) in {"groupby", "group_by"} and statement.text(start - 2) == "."
    if not is_group or end - start != 3 or statement.kind(start + 1) != "string":  # noqa: PLR2004 - one string
        return None
    return _values(statement, start - 2, statement.text(start + 1)[1:-1], scope)


def _ordered(statement: Statement, call: Bracket, scope: Scope) -> Readable | None:
    """Return the values of the column whose order an argument gives, as `hue_order` does for `hue`."""
    name = call.keyword.removesuffix("_order")
    column, base = "", ""
    for at in range(call.at + 1, call.before):
        if (
            statement.text(at) == "="
            and statement.text(at - 1) == name
            and statement.kind(at + 1) == "string"
        ):
            column = statement.text(at + 1)[1:-1]
        elif statement.text(at) == "=" and statement.text(at - 1) == "data":
            base = statement.text(at + 1) if statement.text(at + 2) == "," else ""
        elif at == call.at + 1 and statement.text(at + 1) == ",":
            base = statement.text(at)
    is_known = column and scope.kinds.get(base) == "DataFrame" and (base, column) not in scope.changed
    return values_of_column(base, column) if is_known else None


def _labels(statement: Statement, end: int, scope: Scope) -> Readable | None:
    """Return the labels of the rows of the table or Series before `end`."""
    base, _ = statement.table(end)
    return Readable("labels", base) if scope.kinds.get(base) in {"DataFrame", "Series"} else None


def _keys(statement: Statement, end: int, scope: Scope) -> Readable | None:
    """Return the keys of the dictionary before `end`, or the labels of a Series."""
    code, at = "", end - 1
    while True:
        start = statement.opener.get(at, -1)
        if statement.text(at) == "]" and at - start == 2:  # noqa: PLR2004 - one key
            key = statement.text(start + 1)
            if statement.kind(start + 1) == "string" and key[0] in QUOTES and "\\" not in key:
                code = f"[{key[1:-1]!r}]{code}"
            elif key == "0":
                code = f"[0]{code}"
            else:
                return None
            at = start - 1
        elif statement.kind(at) == "name" and statement.text(at - 1) == ".":
            code, at = f".{statement.text(at)}{code}", at - 2
        else:
            break
    base = statement.text(at)
    if statement.kind(at) != "name" or base not in scope.kinds or _is_changed(base, scope):
        return None
    kind = scope.kinds[base]
    if kind == "Series" and not code:
        return Readable("labels", base)
    is_environment = kind == "module" and code == ".environ"
    is_known = kind in _DICTIONARIES - {"module"} or is_environment
    return Readable("keys", base + code) if is_known else None


def _is_changed(name: str, scope: Scope) -> bool:
    """Return whether a cell that has not run assigns to a part of an object."""
    return any(table == name for table, _ in scope.changed)


_METHODS: dict[str, Callable[[Statement, int, Scope], Readable | None]] = {
    **dict.fromkeys(("eq", "ne", "replace"), _column),
    **dict.fromkeys(("get", "pop"), _keys),
    **dict.fromkeys(("xs", "drop"), _labels),
    "get_group": _group,
}


def _in_query(statement: Statement, end: int, scope: Scope, text: str) -> Place | None:
    """Return the place in a condition of a query on the table before `end`."""
    found = _IN_QUERY.search(text)
    if not found:
        return None
    readable = _values(statement, end, found["name"] or found["quoted"], scope)
    listed = re.findall(r"['\"]([^'\"]*+)['\"]", found["listed"] or "")
    return readable and Place(readable, found["typed"], found["quote"], frozenset(listed))


def _file(typed: str, quote: str, endings: tuple[str, ...], *, must_exist: bool = True) -> Place | None:
    """Return the place of a path that is relative to the folder of the kernel."""
    folder, slash, name = typed.rpartition("/")
    if typed.startswith(("/", "~")) or ":" in typed or "//" in typed:
        return None
    readable = Readable("files", folder + slash)
    return Place(readable, name, quote, endings=endings, must_exist=must_exist, least=1)


def _code_to_run(request: Completion) -> list[str]:
    """Return the code that runs before the cursor's line and has not run."""
    above = request.cells[: request.active]
    waiting = [cell.source for cell in above if cell.type == "code" and cell.executed is not True]
    return [*waiting, text_before_line(request.prefix)]


def headers_at(request: Completion) -> dict[str, Readable]:
    """Return the tables in the cursor's line that cells which have not run read from files."""
    line = request.prefix.rpartition("\n")[2]
    if QUOTES.isdisjoint(line) and "." not in line:
        return {}
    words = frozenset(re.findall(r"[^\W\d]\w*+", line))
    found: dict[str, Readable] = {}
    for source in _code_to_run(request):
        if _CHANGES_FOLDER.search(source):
            return {}
        tables = _tables_read(source)
        for name in bindings(source) & words:
            found.pop(name, None)
            if name in tables:
                found[name] = tables[name]
    return {name: readable for name, readable in found.items() if readable.code}


@cached_function(2**21)
def _tables_read(source: str) -> dict[str, Readable]:
    """Return the names that a cell binds once, to a table that it reads from a file."""
    count_operations(len(source) // 4)
    if "read_" not in source:
        return {}
    try:
        tree = parse(as_python(source))
    except SyntaxError:
        return {}
    found: dict[str, Readable] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call) if name not in found:
                found[name] = _header_of(call)
            case _:
                for name in {*found} & bindings(ast.unparse(node)):
                    found[name] = Readable("header", "")  # it is bound again
    return found


def _header_of(call: ast.Call) -> Readable:
    """Return the header of the file that a call reads; without a path if it is unknown."""
    nothing = Readable("header", "")
    match call:
        case ast.Call(func=ast.Attribute(attr=function), args=[ast.Constant(value=str(path))]):
            named = {each.arg: each.value for each in call.keywords}
        case _:
            return nothing
    separator = _TABLE_READERS.get(function, "")
    if not separator or None in named or not _OTHER_HEADERS.isdisjoint(each or "" for each in named):
        return nothing
    for name in ("sep", "delimiter", "separator"):
        match named.get(name):
            case ast.Constant(value=str(sign)) if len(sign) == 1:
                separator = sign
            case None:
                pass
            case _:
                return nothing
    place = _file(path, "", ())
    return Readable("header", path, separator) if place else nothing
