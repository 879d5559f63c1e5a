"""Fixes after an error, and renames and repeated edits after an edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

import msgspec
from tornado.iostream import StreamClosedError

from jupyter_turbopilot.completer.import_sources import sources_of
from jupyter_turbopilot.context.kernel_context import NONE as NO_CONTEXT
from jupyter_turbopilot.engine.job import DISCONNECTED
from jupyter_turbopilot.fixes import column_renames, renames, repeats
from jupyter_turbopilot.fixes.failed_cell import FailedCell
from jupyter_turbopilot.fixes.find import expressions_to_describe, find_fixes
from jupyter_turbopilot.fixes.report import NONE as NO_REPORT
from jupyter_turbopilot.jupyter.metrics import Outcome
from jupyter_turbopilot.jupyter.routes.endpoint import Endpoint
from jupyter_turbopilot.jupyter.routes.native import NotebookRoute
from jupyter_turbopilot.protocol.contract import Fixes, RenameEdits, RepeatEdits
from jupyter_turbopilot.protocol.errors import BusyError, TooComplexError, TurbopilotError
from jupyter_turbopilot.protocol.request import (
    Cell,
    Completion,
    EditRequest,
    FixRequest,
    RenameRequest,
    RepeatRequest,
    parse_fix,
    parse_rename,
    parse_repeat,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from jupyter_turbopilot.context.kernel_context import KernelContext
    from jupyter_turbopilot.fixes.report import KernelReport
    from jupyter_turbopilot.index.reader import NotebookIndex
    from jupyter_turbopilot.protocol.fix import Fix

T = TypeVar("T")


class _EditRoute(NotebookRoute):
    """Base class of routes that return edits of a notebook. They need no model."""

    errors = (BusyError,)

    max_parallel = 4

    async def admit_and_charge(self, request: EditRequest) -> None:
        """Check that completion is enabled, and charge the caller by the size of the body."""
        self.admit_content(request)
        self.charge()
        await self.admit(request)

    async def counted(self, found: Awaitable[T], fallback: T) -> T:
        """Return the result of a request, and count its outcome. `fallback`: for too complex cells."""
        try:
            result = await found
        except TooComplexError:
            result = fallback
        except BusyError:
            raise  # already counted
        except TurbopilotError as error:
            self.metrics.count_error(self.name, error)
            raise
        except StreamClosedError:
            self.metrics.count(self.name, DISCONNECTED)
            raise
        self.metrics.count(self.name, Outcome.COMPLETED if result else Outcome.EMPTY)
        return result


class FixRoute(_EditRoute):
    """`POST turbopilot/fix`."""

    @Endpoint(FixRequest, read=lambda body, _: parse_fix(body), gives=Fixes)
    async def post(self, request: FixRequest) -> None:
        """Find fixes for the error of a cell. The server applies and executes nothing."""
        fixes = await self.counted(self._fixes(request), [])
        self.answer(msgspec.json.encode(Fixes(id=_id(self.name), fixes=fixes)))

    async def _fixes(self, request: FixRequest) -> list[Fix]:
        await self.admit_and_charge(request)
        if request.language != "python" or not self.pilot.settings.suggest_fixes:
            return []
        report, kernel_context = await self._report(request)
        notebook_index = await self.notebook_index()
        return await self.parse(_find, request, report, kernel_context, notebook_index)

    async def _report(self, request: FixRequest) -> tuple[KernelReport, KernelContext]:
        """Query the notebook's kernel about the error, for callers who may run code in it."""
        kernels, name = self.pilot.kernels, await self.allowed_kernel(request)
        if not kernels or not name:
            return NO_REPORT, NO_CONTEXT
        names = await self.parse(expressions_to_describe, request.cells, request.failed, request.error)
        report = await kernels.report(name, names)
        return report, kernels.kernel_context(name)


def _find(
    request: FixRequest,
    report: KernelReport,
    kernel_context: KernelContext,
    notebook_index: NotebookIndex | None,
) -> list[Fix]:
    cells = [Cell(type=cell.type, source=cell.source or "") for cell in request.cells]
    sources = sources_of(Completion(path=request.path, cells=cells, offset=0), kernel_context, notebook_index)
    error = request.error
    return find_fixes(
        FailedCell(
            request.cells,
            request.failed,
            error.name,
            error.message,
            error.traceback,
            report,
            kernel_context,
            sources,
        )
    )


class RenameRoute(_EditRoute):
    """`POST turbopilot/rename`."""

    @Endpoint(RenameRequest, read=lambda body, _: parse_rename(body), gives=RenameEdits)
    async def post(self, request: RenameRequest) -> None:
        """Find the other uses of a name that was changed at its binding."""
        found = await self.counted(self._rename(request), None)
        renamed = (
            RenameEdits(id=_id(self.name), title=found.title, edits=found.edits, run=found.run)
            if found
            else RenameEdits(id=_id(self.name), title="", edits=[], run=[])
        )
        self.answer(msgspec.json.encode(renamed))

    async def _rename(self, request: RenameRequest) -> renames.Rename | None:
        await self.admit_and_charge(request)
        if request.language != "python" or not self.pilot.settings.suggest_fixes:
            return None
        return await self.parse(_find_rename, request)


def _find_rename(request: RenameRequest) -> renames.Rename | None:
    label = column_renames.changed_label(request)
    return column_renames.find(request, label) if label else renames.find(request)


class RepeatRoute(_EditRoute):
    """`POST turbopilot/repeat`."""

    @Endpoint(RepeatRequest, read=lambda body, _: parse_repeat(body), gives=RepeatEdits)
    async def post(self, request: RepeatRequest) -> None:
        """Find the other occurrences of the code that the user's last edits changed."""
        found = await self.counted(self._repeat(request), None)
        repeated = (
            RepeatEdits(id=_id(f"{self.name}-{found.kind}"), title=found.title, edits=found.edits)
            if found
            else RepeatEdits(id=_id(self.name), title="", edits=[])
        )
        self.answer(msgspec.json.encode(repeated))

    async def _repeat(self, request: RepeatRequest) -> repeats.RepeatOffer | None:
        await self.admit_and_charge(request)
        if request.language != "python" or not self.pilot.settings.suggest_fixes:
            return None
        report, rule = NO_REPORT, await self.parse(repeats.rule_of, request)
        if not rule:
            return None
        names = repeats.expressions_to_describe(rule)
        kernels, name = self.pilot.kernels, None if names is None else await self.allowed_kernel(request)
        if kernels and name and names is not None:
            report = await kernels.report(name, names)
        return await self.parse(repeats.find, request, rule, report)


def _id(kind: str) -> str:
    """Return an id by which `POST feedback` distinguishes fixes, renames and repeated edits."""
    return f"{kind}-{uuid4().hex}"
