"""Undefined names, and modules and imported names that do not exist. Pure.

The fixes: cells to run, missing imports, other spellings, distributions to install.
"""

from __future__ import annotations

import ast
import builtins
import re
import sys
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import structs

from jupyter_turbopilot.analysis.conventions import BY_USE, MEMBERS, MODULES
from jupyter_turbopilot.analysis.imports import imports_of, insertion, uses
from jupyter_turbopilot.analysis.languages import as_python
from jupyter_turbopilot.analysis.resolve import EVERYWHERE
from jupyter_turbopilot.fixes.nearest import LONGEST, nearest
from jupyter_turbopilot.protocol.fix import Fix, InsertedCell, quoted, shortened
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.analysis.imports import Sources
    from jupyter_turbopilot.analysis.notebook import Notebook
    from jupyter_turbopilot.analysis.parsed_cell import ParsedCell
    from jupyter_turbopilot.fixes.failed_cell import FailedCell

_UNDEFINED = re.compile(r"name '(\w+)' is not defined")
_BUILTINS = frozenset(name for name in dir(builtins) if not name.startswith("_"))
_MOST_USES = 20  # different uses of a name, each of which may need another import
_MODULE = re.compile(r"^No module named '([\w.]+)'\Z")  # a shadowed module has a longer message
_NAME = re.compile(r"^cannot import name '(\w+)' from '([\w.]+)' \((?!unknown location)(.*)\)\Z")
_IMPORTED = re.compile(r"^[ \t]*(?:import|from)[ \t]+([\w.]+)", re.MULTILINE)
_INSTALLED = re.compile(r"[/\\](?:site-packages|dist-packages|lib|Lib|lib64)[/\\]")
_LINES = [*MODULES.values(), *MEMBERS.values(), *(line for lines in BY_USE.values() for line in lines)]
_KNOWN = {line.split()[1] for line in _LINES}
_STANDARD = {name for name in sys.stdlib_module_names if not name.startswith("_")}
# Distributions of modules with another name.
_OTHER_NAMES = """
    Bio=biopython Crypto=pycryptodome OpenSSL=pyOpenSSL PIL=pillow attr=attrs bs4=beautifulsoup4
    community=python-louvain cv2=opencv-python dateutil=python-dateutil docx=python-docx dotenv=python-dotenv
    fitz=pymupdf git=GitPython igraph=python-igraph imblearn=imbalanced-learn jwt=PyJWT pptx=python-pptx
    psycopg2=psycopg2-binary pywt=PyWavelets serial=pyserial skimage=scikit-image sklearn=scikit-learn
    umap=umap-learn usb=pyusb yaml=pyyaml
"""
_OTHER = {module: name for module, _, name in (each.partition("=") for each in _OTHER_NAMES.split())}
_DISTRIBUTIONS = {
    **{name: name.replace("_", "-") for name in {line.partition(".")[0] for line in _KNOWN}},
    **_OTHER,
}
for _name in (*sys.stdlib_module_names, "cupy"):  # the distribution of CuPy depends on the version of CUDA
    _DISTRIBUTIONS.pop(_name, None)


def find(failure: FailedCell) -> Iterator[Fix]:
    """Find cells to run, an import or another name for an undefined one."""
    found = _UNDEFINED.match(failure.message)
    if not found or failure.is_inside_library or len(found[1]) > LONGEST:
        return
    word = found[1]
    if all(node.id != word for node in failure.nodes(ast.Name)):
        return
    exists = _existing(failure)
    yield from _cells(failure, word, exists)
    imported = [*_import(failure, word)]
    # `Path` is the class rather than a variable `path`.
    yield from imported or _nearest(failure, word, exists)


# Cells to run --------------------------------------------------------------------------------------------


def _cells(failure: FailedCell, word: str, exists: AbstractSet[str]) -> Iterator[Fix]:
    """Offer to run the cells above that define a name, and those that these cells need."""
    run, needed = failure.notebook.to_run(failure.failed, word, exists)
    if run:
        more = f" and {len(run) - 2} more" if len(run) > 2 else ""  # noqa: PLR2004
        title = f"Run the cell that defines {word}{more}?"
        confidence = 0.6 if needed else 0.95
        yield Fix(title=title, source="notebook", confidence=confidence, run=run)


def _existing(failure: FailedCell) -> AbstractSet[str]:
    """Return the names that exist in the kernel, as far as that is known."""
    known = EVERYWHERE.union(failure.report.names, failure.kernel_context.names)
    if failure.report.all:
        return known
    return known | failure.notebook.bound_by_runs(failure.cells[failure.failed])


# Imports -------------------------------------------------------------------------------------------------


def _import(failure: FailedCell, word: str) -> Iterator[Fix]:
    """Offer the only import line that binds a name as it is used."""
    at = failure.failed
    found = missing_import(word, failure.source, failure.notebook, at, failure.imports)
    if found and not failure.cells[at].changed:
        yield structs.replace(found, run=[at])


def missing_import(
    word: str, source: str, notebook: Notebook, at: int, imports: Sources | None
) -> Fix | None:
    """Return the fix that inserts the only import line that binds a name as it is used; None without one.

    `source`: the code that uses the name. `at`: the cell that gets the line.
    """
    cell = notebook[at].source
    if imports is None or not cell:
        return None
    binding = map(as_python, notebook.sources_binding(word))
    if any(all(known.name != word for known in imports_of(each)) for each in binding):
        return None  # another object
    count_operations(len(source) // 2)
    used = dict.fromkeys(use for use in uses(source) if use.name == word)
    lines = {imports.line_for(use) for use in islice(used, _MOST_USES)} - {""}
    if len(lines) != 1 or not (line := lines.pop()):
        return None
    start, text = insertion(cell, [line])
    module, _, name = line.removeprefix("from ").partition(" import ")
    title = shortened(f"Import {name} from {module}" if line.startswith("from ") else f"I{line[1:]}") + "?"
    edits = [notebook.edit(at, start, start, text)]
    return Fix(title=title, source="imports", confidence=0.9, edits=edits)


# Misspellings --------------------------------------------------------------------------------------------


def _nearest(failure: FailedCell, word: str, exists: AbstractSet[str]) -> Iterator[Fix]:
    """Offer the nearest bound name, unless a cell binds the undefined one."""
    if any(failure.notebook.sources_binding(word)):
        return
    bound = {node.id for node in failure.nodes(ast.Name) if isinstance(node.ctx, ast.Store)}
    # The plural of a built-in function, such as `inputs`, is more likely a variable.
    names = {name for name in _BUILTINS if not word.startswith(name)}.union(exists - EVERYWHERE, bound)
    near = nearest(word, names)
    if not near:
        return
    free = failure.parsed.scopes.free if failure.parsed else []
    edits = [failure.edit(*failure.span(node), near[0]) for node in free if node.id == word]
    yield from failure.fix(f"Did you mean {quoted(near[0])}?", edits, near[1])


# Modules --------------------------------------------------------------------------------------------------


def find_module(failure: FailedCell) -> Iterator[Fix]:
    """Find the nearest module or name, or the distribution of a missing module."""
    if failure.position is None or failure.is_inside_library:
        return
    if missing := _MODULE.match(failure.message):
        yield from _modules(failure, missing[1])
    elif (missing := _NAME.match(failure.message)) and not _is_shadowed(missing[2], missing[3]):
        names = {line.split()[3] for line in _LINES if line.startswith(f"from {missing[2]} ")}
        near = nearest(missing[1], names | _attributes(failure, missing[2]))
        yield from _respelled(failure, missing[2], missing[1], near)


def _is_shadowed(module: str, path: str) -> bool:
    """Return whether a local file shadows an installed module."""
    top = module.partition(".")[0]
    is_known = top in _DISTRIBUTIONS or top in sys.stdlib_module_names
    return is_known and not _INSTALLED.search(path)


def _modules(failure: FailedCell, module: str) -> Iterator[Fix]:
    parent, _, name = module.rpartition(".")
    local = {name.rstrip("/").removesuffix(".py") for each in failure.report.folders for name in each.names}
    common = {*_imported(failure, module), *_KNOWN, *_OTHER}
    if parent:
        known = _names_below(parent, common | _STANDARD) | _attributes(failure, parent)
        yield from _respelled(failure, parent, name, nearest(name, known))
    elif module in local:
        return
    elif module in _DISTRIBUTIONS:
        distribution = _DISTRIBUTIONS[module]
        cell = InsertedCell(before=failure.failed, source=f"%pip install {distribution}")
        title = f"Add a cell that installs {distribution}?"
        yield Fix(title=title, source="imports", confidence=0.9, insert=cell)
    else:
        # If several modules are near, prefer a common one: `nunpy` means NumPy rather than `runpy`.
        known = _names_below("", common)
        near = nearest(module, known | _STANDARD) or nearest(module, known)
        yield from _respelled(failure, "", module, near)


def _imported(failure: FailedCell, missing: str) -> set[str]:
    """Return the modules that the notebook imports."""
    code = [source for _, source in failure.notebook.code]
    count_operations(sum(map(len, code)) // 32)
    found = {name for source in code for name in _IMPORTED.findall(source)}
    return {name for name in found if name != missing and not name.startswith(f"{missing}.")}


def _names_below(parent: str, known: Iterable[str]) -> set[str]:
    """Return the names directly below `parent` in dotted names."""
    prefix = f"{parent}." if parent else ""
    return {name[len(prefix) :].partition(".")[0] for name in known if name.startswith(prefix)}


def _attributes(failure: FailedCell, module: str) -> set[str]:
    described = failure.report.objects.get(module)
    names = described.attributes if described else None
    return {name for name in names or () if not name.startswith("_")}


def _respelled(failure: FailedCell, parent: str, name: str, near: tuple[str, float] | None) -> Iterator[Fix]:
    """Yield the fix that replaces a module or an imported name, and its uses in the cell."""
    cell = failure.parsed
    mentions = [*_mentions(cell, parent, name)] if cell else []
    if cell is None or near is None or len(mentions) != 1:
        return
    start, is_bound = mentions[0]
    names = (node for node in cell.nodes if isinstance(node, ast.Name) and node.id == name)
    uses = [cell.start(node) for node in names] if is_bound else []
    edits = [failure.edit(each, each + len(name), near[0]) for each in sorted([start, *uses])]
    if any(edit.old != name for edit in edits):
        return
    yield from failure.fix(f"Did you mean {quoted(near[0])}?", edits, near[1], "imports")


def _mentions(cell: ParsedCell, parent: str, name: str) -> Iterator[tuple[int, bool]]:
    """Yield the positions of an imported name, and whether the statement binds it."""
    dotted, prefix = (f"{parent}.{name}", len(parent) + 1) if parent else (name, 0)
    for node in cell.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if f"{alias.name}.".startswith(f"{dotted}."):
                    yield cell.start(alias) + prefix, not parent and alias.asname is None
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if f"{node.module}.".startswith(f"{dotted}."):
                yield cell.start(node) + cell.scopes.text(node).find(dotted, len("from")) + prefix, False
            for alias in node.names if node.module == parent else ():
                if alias.name == name:
                    yield cell.start(alias), alias.asname is None
