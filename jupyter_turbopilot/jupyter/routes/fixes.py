"""Checks before an execution, fixes after an error, and renames and repeated edits after an edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import msgspec
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.analysis.kernel_context import NONE as NO_CONTEXT
from jupyter_turbopilot.analysis.notebook import Notebook
from jupyter_turbopilot.analysis.report import NONE as NO_REPORT
from jupyter_turbopilot.completer.import_sources import sources_of
from jupyter_turbopilot.engine.job import DISCONNECTED
from jupyter_turbopilot.fixes import check, column_renames, renames, repeats
from jupyter_turbopilot.fixes.failed_cell import FailedCell
from jupyter_turbopilot.fixes.find import expressions_to_describe, find_fixes
from jupyter_turbopilot.jupyter.metrics import Outcome
from jupyter_turbopilot.jupyter.routes.admission import (
    admit,
    allowed_kernel,
    readable_index,
    texts_for_check,
)
from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.jupyter.routes.endpoint import CodeEndpoint
from jupyter_turbopilot.jupyter.routes.jobs import Parser
from jupyter_turbopilot.protocol.contract import Finding, Findings, Fixes, RenameEdits, RepeatEdits
from jupyter_turbopilot.protocol.errors import BusyError, TooComplexError, TurbopilotError
from jupyter_turbopilot.protocol.request import (
    Cell,
    CheckRequest,
    Completion,
    EditRequest,
    FixRequest,
    RenameRequest,
    RepeatRequest,
    parse_check,
    parse_fix,
    parse_rename,
    parse_repeat,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from jupyter_turbopilot.analysis.imports import Sources
    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from jupyter_turbopilot.analysis.report import KernelReport
    from jupyter_turbopilot.analysis.texts import Readable, Texts
    from jupyter_turbopilot.index.reader import NotebookIndex
    from jupyter_turbopilot.protocol.fix import Fix

MAX_PARALLEL = 4  # requests of a caller
R = TypeVar("R", bound=EditRequest)
T = TypeVar("T")


def _endpoint(takes: type[R], parse: Callable[[bytes], R], gives: type[Any]) -> CodeEndpoint:
    """Return the declaration of a method that needs no model."""
    read, errors = lambda body, _: parse(body), (BusyError,)
    return CodeEndpoint(takes, read=read, gives=gives, errors=errors, max_parallel=MAX_PARALLEL)


class FixRoute(Route):
    """`POST turbopilot/fix`."""

    @_endpoint(FixRequest, parse_fix, Fixes)
    async def post(self, request: FixRequest) -> None:
        """Find fixes for the error of a cell. The server applies and executes nothing."""
        nothing: list[Fix] = []
        fixes = await _found(self, request, _fixes, nothing)
        self.answer(msgspec.json.encode(Fixes(id=_id(self.name), fixes=fixes)))


class CheckRoute(Route):
    """`POST turbopilot/check`."""

    @_endpoint(CheckRequest, parse_check, Findings)
    async def post(self, request: CheckRequest) -> None:
        """Find the names in a cell that the kernel shows not to exist. The server executes nothing."""
        nothing: list[Finding] | None = []
        found = await _found(self, request, _check, nothing)
        findings = Findings(id=_id(self.name), findings=found or [], unanswered=found is None)
        self.answer(msgspec.json.encode(findings))


class RenameRoute(Route):
    """`POST turbopilot/rename`."""

    @_endpoint(RenameRequest, parse_rename, RenameEdits)
    async def post(self, request: RenameRequest) -> None:
        """Find the other uses of a name that was changed at its binding."""
        found = await _found(self, request, _rename, None)
        found = found or renames.Rename(title="", edits=[], run=[])
        renamed = RenameEdits(id=_id(self.name), title=found.title, edits=found.edits, run=found.run)
        self.answer(msgspec.json.encode(renamed))


class RepeatRoute(Route):
    """`POST turbopilot/repeat`."""

    @_endpoint(RepeatRequest, parse_repeat, RepeatEdits)
    async def post(self, request: RepeatRequest) -> None:
        """Find the other occurrences of the code that the user's last edits changed."""
        found = await _found(self, request, _repeat, None)
        repeated = (
            RepeatEdits(id=_id(f"{self.name}-{found.kind}"), title=found.title, edits=found.edits)
            if found
            else RepeatEdits(id=_id(self.name), title="", edits=[])
        )
        self.answer(msgspec.json.encode(repeated))


async def _found(route: Route, request: R, find: Callable[[Route, R], Awaitable[T]], nothing: T) -> T:
    """Admit a request, return what `find` returns, and count the outcome.

    Return `nothing` for other languages, if the setting is off, and for too complex cells.
    """
    await admit(route, request)
    try:
        is_on = request.language == "python" and route.pilot.settings.suggest_fixes
        result = await find(route, request) if is_on else nothing
    except TooComplexError:
        result = nothing
    except TurbopilotError as error:
        route.shared.metrics.count_error(route.name, error)
        raise
    except StreamClosedError:
        route.shared.metrics.count(route.name, DISCONNECTED)
        raise
    route.shared.metrics.count(route.name, Outcome.COMPLETED if result else Outcome.EMPTY)
    return result


async def _fixes(route: Route, request: FixRequest) -> list[Fix]:
    parser, report, kernel_context = Parser(route), NO_REPORT, NO_CONTEXT
    notebook = Notebook(request.cells)
    kernels, name = route.pilot.kernels, await allowed_kernel(route, request)
    if kernels and name:
        names = await parser.run(expressions_to_describe, notebook, request.failed, request.error)
        report = await kernels.report(name, names)
        kernel_context = kernels.kernel_context(name)
    return await parser.run(_find, request, notebook, report, kernel_context, await readable_index(route))


def _find(
    request: FixRequest,
    notebook: Notebook,
    report: KernelReport,
    kernel_context: KernelContext,
    notebook_index: NotebookIndex | None,
) -> list[Fix]:
    sources, error = _imports(request, kernel_context, notebook_index), request.error
    return find_fixes(
        FailedCell(
            notebook,
            request.failed,
            error.name,
            error.message,
            error.traceback,
            report,
            kernel_context,
            sources,
        )
    )


def _imports(
    request: FixRequest | CheckRequest, kernel_context: KernelContext, notebook_index: NotebookIndex | None
) -> Sources | None:
    """Return the sources of lines that import a missing name; None if they are unknown."""
    cells = [Cell(type=cell.type, source=cell.source or "") for cell in request.cells]
    return sources_of(Completion(path=request.path, cells=cells, offset=0), kernel_context, notebook_index)


async def _check(route: Route, request: CheckRequest) -> list[Finding] | None:
    """Return the findings; None if the kernel does not answer."""
    kernels, name = route.pilot.kernels, await allowed_kernel(route, request)
    if not kernels or not name:
        return []
    parser = Parser(route)
    prepared = await parser.run(check.prepare, request)
    if not prepared:
        return []
    report = await kernels.check(name, prepared.described, prepared.traced)
    if report is NO_REPORT:
        return None
    kernel_context, notebook_index = kernels.kernel_context(name), await readable_index(route)
    texts = await texts_for_check(route, name, prepared.readings, report)
    return await parser.run(_findings, request, prepared, report, kernel_context, notebook_index, texts)


def _findings(
    request: CheckRequest,
    prepared: check.Prepared,
    report: KernelReport,
    kernel_context: KernelContext,
    notebook_index: NotebookIndex | None,
    texts: Mapping[Readable, Texts],
) -> list[Finding]:
    imports = _imports(request, kernel_context, notebook_index)
    return check.find(request, prepared, report, imports, texts)


async def _rename(route: Route, request: RenameRequest) -> renames.Rename | None:
    return await Parser(route).run(_find_rename, request)


def _find_rename(request: RenameRequest) -> renames.Rename | None:
    label = column_renames.changed_label(request)
    return column_renames.find(request, label) if label else renames.find(request)


async def _repeat(route: Route, request: RepeatRequest) -> repeats.RepeatOffer | None:
    parser, report = Parser(route), NO_REPORT
    rule = await parser.run(repeats.rule_of, request)
    if not rule:
        return None
    names = repeats.expressions_to_describe(rule)
    kernels, name = route.pilot.kernels, None if names is None else await allowed_kernel(route, request)
    if kernels and name and names is not None:
        report = await kernels.report(name, names)
    return await parser.run(repeats.find, request, rule, report)


def _id(kind: str) -> str:
    """Return an id by which `POST feedback` distinguishes fixes, renames and repeated edits."""
    return f"{kind}-{uuid4().hex}"
