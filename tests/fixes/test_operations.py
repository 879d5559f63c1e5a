"""The work for fixes and renames is counted, and bounded for any notebook."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.kernel_context import KernelContext, Modules
from jupyter_turbopilot.analysis.notebook import Notebook
from jupyter_turbopilot.analysis.report import Folder, KernelError, KernelReport, ObjectDescription
from jupyter_turbopilot.fixes import check as checks
from jupyter_turbopilot.fixes import repeats
from jupyter_turbopilot.fixes.find import FINDERS, expressions_to_describe
from jupyter_turbopilot.jupyter.routes.fixes import _find, _find_rename
from jupyter_turbopilot.protocol.request import (
    FixRequest,
    RenameRequest,
    RepeatRequest,
    parse_check,
    parse_fix,
    parse_rename,
    parse_repeat,
)
from jupyter_turbopilot.util.bounds import (
    MOST_OPERATIONS,
    OperationLimitError,
    Operations,
    counted_operations,
    tenant_cache,
)
from tests.faults.test_linear import lines_of

# Operations for each character of a body and of the report, and Python lines for each operation.
PER_CHARACTER, LINES, BASE = 25, 20, 5_000
LABELS = [f"Level {number}" for number in range(10_000, 10_400)]
TABLE = ObjectDescription(type="DataFrame", module="pandas.core.frame", version="2.2.0", labels=LABELS)
NAMES = ("df", "x", "a", "col", "numpy")
FOLDERS = [Folder(path=".", names=["b" + "a" * 399 + "c", "b.csv"])]
CONTEXT = KernelContext(modules=Modules(path=("/nowhere",)))


def report_of(name: str) -> KernelReport:
    return KernelReport(error=KernelError(type=name), objects=dict.fromkeys(NAMES, TABLE), folders=FOLDERS)


def find(request: FixRequest, *, reported: bool) -> None:
    """Find fixes as the server does."""
    error, notebook = request.error, Notebook(request.cells)
    assert len(expressions_to_describe(notebook, request.failed, error)) <= 100
    _find(request, notebook, report_of(error.name) if reported else KernelReport(), CONTEXT, None)


def rename(request: RenameRequest) -> None:
    """Find the other uses as the server does."""
    with suppress(OperationLimitError):
        _find_rename(request)


def repeat(request: RepeatRequest) -> None:
    """Find the occurrences as the server does."""
    with suppress(OperationLimitError):
        repeats.find(request, repeats.rule_of(request))


def check(body: bytes, call: Callable[[], Any]) -> None:
    """Check that a call counts its work, and that the work is proportional to the size of the body."""
    operations = Operations(MOST_OPERATIONS)
    # Another tenant's results are not used, so that the work is the same each time.
    with counted_operations(operations), tenant_cache(str(uuid4())):
        lines = lines_of(call, most=math.inf)
    assert operations.count <= PER_CHARACTER * (len(body) + BASE)
    assert lines <= LINES * (operations.count + BASE)


def encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


PIECES = (
    "a", "b", "df", "'a'", "'Level 1'", "1", ".a", ".head()", "['a']", "[b]", "(", ")", "[", "]", "f(", "lambda a: ",
    ", ", " = ", "\n", "; ", "oldp=", "import a\n", "from numpy import ", "for a in ", ":\n    ", "def f(oldp):\n    ",
    "class A:\n    ", "é", "e\u0301", "\u202e", "\u2028", "#", "\\", '"""', "%%time\n", "!a\n", "global a\n",
)  # fmt: skip
TEXTS = st.tuples(st.lists(st.sampled_from(PIECES), max_size=6).map("".join), st.integers(1, 400)).map(
    lambda drawn: drawn[0] * drawn[1]
)
SOURCES = st.lists(TEXTS, max_size=4).map("".join)
MESSAGES = st.lists(
    st.sampled_from([
        "name 'a' is not defined", "'a'", "['a'] not in index", "Level ", " not found", "No module named 'a'",
        "has no attribute 'head'", "got an unexpected keyword argument 'oldp'", "valid columns: ['a'", "]",
        "cannot import name 'a' from 'numpy' (/lib)", "No such file or directory: 'a'", "but received: ", "\n",
    ])
).map("".join)  # fmt: skip


@settings(max_examples=30)
@given(st.sampled_from([*FINDERS]), MESSAGES, st.lists(SOURCES, max_size=5), SOURCES, st.booleans())
def test_find_fixes_counts_operations_for_any_notebook(
    name: str, message: str, above: list[str], source: str, reported: bool
) -> None:
    cells = [{"source": each, "execution_count": 1 if at % 2 else None} for at, each in enumerate(above)]
    cells.append({"source": source, "execution_count": 2})
    error = {"name": name, "message": message[:8192], "traceback": ["Cell In[2], line 1"]}
    body = encoded({"cells": cells, "failed": len(cells) - 1, "error": error})
    request = parse_fix(body)
    check(body, lambda: find(request, reported=reported))


@settings(max_examples=30)
@given(st.lists(SOURCES, max_size=5), SOURCES)
def test_checks_count_operations_for_any_notebook(others: list[str], source: str) -> None:
    cells = [{"source": each, "execution_count": at if at % 2 else None} for at, each in enumerate(others)]
    body = encoded({"cells": [*cells, {"source": source}], "active": len(others)})
    request = parse_check(body)
    objects = dict.fromkeys(NAMES, TABLE)
    report = KernelReport(objects=objects, names=LABELS, all=True, executions=9, alone=True)

    def find() -> None:
        with suppress(OperationLimitError):
            if prepared := checks.prepare(request):
                checks.find(request, prepared, report)

    check(body, find)


@settings(max_examples=30)
@given(SOURCES, SOURCES, st.lists(SOURCES, max_size=5))
def test_renames_count_operations_for_any_notebook(head: str, tail: str, others: list[str]) -> None:
    cells = [{"source": f"{head}newp{tail}"}, *({"source": each} for each in others)]
    body = encoded({"cells": cells, "active": 0, "before": f"{head}oldp{tail}"})
    request = parse_rename(body)
    check(body, lambda: rename(request))


@settings(max_examples=30)
@given(SOURCES, SOURCES, st.lists(SOURCES, max_size=5))
def test_repeats_count_operations_for_any_notebook(head: str, tail: str, others: list[str]) -> None:
    before, after = f"{head}oldp{tail}", f"{head}newp{tail}"
    cells = [{"source": after}, {"source": after}, *({"source": each} for each in [before, *others])]
    earlier = {"cell": 1, "before": before, "after": after}
    body = encoded({"cells": cells, "active": 0, "before": before, "earlier": earlier})
    request = parse_repeat(body)
    check(body, lambda: repeat(request))
