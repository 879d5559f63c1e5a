"""Admission of requests after the body: cheap refusals, the charge, then checks that read a disk."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from jupyter_core.utils import ensure_async
from tornado import web

from jupyter_turbopilot.analysis.kernel_context import NONE, KernelContext
from jupyter_turbopilot.analysis.members import member_at
from jupyter_turbopilot.completer.raw_plan import priority_of
from jupyter_turbopilot.context.private import is_private_path
from jupyter_turbopilot.jupyter.kernels import folders
from jupyter_turbopilot.jupyter.kernels.watch import TEXT_SECONDS
from jupyter_turbopilot.jupyter.routes.auth import may
from jupyter_turbopilot.jupyter.routes.jobs import DISK_SECONDS, Completions, Parser
from jupyter_turbopilot.jupyter.runtime import check_public
from jupyter_turbopilot.protocol.errors import (
    BadRequestError,
    DisabledError,
    TooComplexError,
    TurbopilotError,
)
from jupyter_turbopilot.protocol.request import Completion
from jupyter_turbopilot.settings.access import UNCHECKED
from jupyter_turbopilot.suggestion.names import readable_at
from jupyter_turbopilot.suggestion.readable import Readings, may_be_read
from jupyter_turbopilot.util.notebook_file import equivalent_paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.analysis.report import KernelReport
    from jupyter_turbopilot.analysis.texts import Readable, Texts
    from jupyter_turbopilot.index.reader import MaintainedIndex
    from jupyter_turbopilot.jupyter.kernels.texts import KernelTexts
    from jupyter_turbopilot.jupyter.routes.base import Route
    from jupyter_turbopilot.protocol.engine_request import RawRequest
    from jupyter_turbopilot.protocol.request import NotebookRequest
    from jupyter_turbopilot.suggestion.readable import Place

LINK_SECONDS = 0.05  # for the links of a path without denied paths; with them, DISK_SECONDS
WINDOW = 1 << 18  # characters around the cursor that a page may send with each keystroke
DISABLED_IN_NOTEBOOK = "Suggestions are off in this notebook. Choose Settings, Turbopilot, Turn On."


def charge(route: Route) -> None:
    """Charge the caller by the size of the body."""
    with route.shared.metrics.counted_errors(route.name):
        route.shared.limits.charge(route.caller.name, route.body.size)


def admit_texts(route: Route, texts: Sequence[RawRequest], *, in_turn: bool = False) -> Completions:
    """Admit the texts of another protocol, and charge their caller: by the size of the body for the first.

    They have no path, so denied paths refuse all of them. A server with the key names its users in `salt`.
    `in_turn`: whether each is generated after the one before.
    """
    pilot, most = route.pilot, route.pilot.worker.limits.waiting
    if 0 < most < len(texts) and not in_turn:  # a retry would not help
        raise BadRequestError(
            f"One user may have {most} waiting requests. Send at most {most} prompts at a time.",
            field="prompt",
        )
    caller, salt = route.caller.name, texts[0].salt if route.caller.names_users else ""
    if salt:
        caller = f"{caller} {salt}"
    completions = Completions(route, caller)
    with route.shared.metrics.counted_errors(route.name):
        pilot.access.check()
        for number, text in enumerate(texts):
            size = 0 if number else route.body.size - WINDOW
            route.shared.limits.charge(caller, size, awaited=priority_of(text).awaited)
    route.is_admitted = True
    return completions


async def admit_completion(route: Route, request: Completion) -> Completions:
    """Admit a request for a suggestion, and charge its caller."""
    # The active cell, of which a character may have three bytes, and the others are free.
    await admit(route, request, free=2 * WINDOW, awaited=request.is_awaited)
    notebook_index = await readable_index(route) if request.notebook_index else None
    context = await kernel_context(route, request)
    read = await readings(route, request, context)
    return Completions(
        route, route.caller.name, kernel_context=context, notebook_index=notebook_index, readings=read
    )


async def admit(route: Route, request: NotebookRequest, *, free: int = 0, awaited: bool = True) -> None:
    """Raise an error unless completion is enabled for a notebook, and charge the caller.

    Files with credentials get no suggestions.

    What the request itself shows is checked first: a rate limit would hide the reason. The rest reads
    sessions and files, which may be expensive. The paths of the kernel's sessions count, too: the one in the
    request may be wrong. A page knows the metadata before they are saved. For other clients, the server reads
    the saved notebook. `free`: bytes of the body that cost nothing, as typing is one request.
    """
    access, shared, caller = route.pilot.access, route.shared, route.caller.name
    with shared.metrics.counted_errors(route.name):
        if request.path or not request.kernel_id:
            access.check(request.path)
        else:
            access.require_enabled()
        check_public(request.path)
        if request.enabled is False:
            raise DisabledError(DISABLED_IN_NOTEBOOK, code="disabled_in_notebook")
        shared.limits.charge(caller, route.body.size - free, awaited=awaited)
        is_unknown = request.enabled is None
        paths: tuple[str, ...] = ()
        manager = route.settings.get("session_manager")
        if manager and request.kernel_id and (access.denied or is_unknown):
            # Several notebooks and consoles may share the kernel.
            sessions = await ensure_async(manager.list_sessions())
            paths = tuple(
                str(session.get("path"))
                for session in sessions
                if (session.get("kernel") or {}).get("id") == request.kernel_id
            )
        readable, paths = paths, (*paths, request.path)
        if request.kernel_id:
            access.check(*paths)
        for path in dict.fromkeys(paths if access.denied else (request.path,)):  # the notebook is a session
            files = await real_paths(route, path)
            if path == request.path:
                check_public(*files)
        if is_unknown:
            if await may(route, "read", "contents"):
                readable = paths
            if not all([await shared.switches.is_enabled(path, caller) for path in readable]):
                raise DisabledError(DISABLED_IN_NOTEBOOK, code="disabled_in_notebook")
    route.is_admitted = True


async def real_paths(route: Route, path: str) -> list[str]:
    """Return the files that a path leads to; raise a DisabledError unless completion is allowed for them."""
    access = route.pilot.access
    if not (path and access.root):
        return []
    following = route.pilot.disk.run(route.caller.name, ("links", path), access.check_file, path)
    try:
        # Without denied paths, only links to credentials matter: a hanging disk does not delay keystrokes.
        return await asyncio.wait_for(following, DISK_SECONDS if access.denied else LINK_SECONDS)
    except TimeoutError:
        if access.denied:
            raise DisabledError(UNCHECKED) from None
        return []


async def readable_index(route: Route) -> MaintainedIndex | None:
    """Return the notebook index, for callers who may read the notebooks."""
    notebook_index = route.pilot.notebook_index
    return notebook_index if notebook_index and await may(route, "read", "contents") else None


async def kernel_context(route: Route, request: NotebookRequest) -> KernelContext:
    """Return the kernel context of the notebook, for callers who may run code in the kernel.

    The context of an R kernel consists of the members of the object at the cursor.
    """
    kernels, name = route.pilot.kernels, await allowed_kernel(route, request)
    if not kernels or not name:
        return NONE
    if isinstance(request, Completion) and request.language == "r":
        with suppress(TooComplexError):
            if member := await Parser(route).run(member_at, request):
                return await kernels.members(name, "r", member.code)
    return kernels.kernel_context(name)


async def readings(route: Route, request: Completion, context: KernelContext) -> Readings:
    """Read what is being typed at the cursor from the kernel or its folder, and what was looked up."""
    kernels, name = route.pilot.kernels, request.kernel_id
    is_asked = context is not NONE and request.language == "python" and route.pilot.settings.kernel_values
    texts = kernels.texts(name) if kernels and name and is_asked else None
    if not kernels or not name or texts is None:
        return Readings()
    place: Place | None = None
    headers: dict[str, Readable] = {}
    if request.is_awaited and may_be_read(request):
        with suppress(TooComplexError):
            place, headers = await Parser(route).run(readable_at, request, context)
    at_cursor = [*headers.values(), *([place.readable] if place else [])]
    unknown = [each for each in (*at_cursor, *texts.take_wanted()) if not texts.is_answered(each)]
    in_kernel = [each for each in unknown if each.kind not in {"files", "header"}]
    folder = context.modules.folder, context.modules.folder_id
    files = [each for each in unknown if each not in in_kernel and context.modules.folder]
    reads = [read_file(route, folder, each, texts) for each in files]
    if unknown:
        await asyncio.gather(kernels.read(name, in_kernel) if in_kernel else asyncio.sleep(0), *reads)
    known = {table: found for table, header in headers.items() if (found := texts.find(header))}
    return Readings(texts, known, place if place and texts.find(place.readable) else None)


async def texts_for_check(
    route: Route, name: str, asked: Sequence[Readable], report: KernelReport
) -> dict[Readable, Texts]:
    """Read values from a kernel, and folders anew: a file may have been added since an execution."""
    kernels = route.pilot.kernels
    texts = kernels.texts(name) if kernels and asked and route.pilot.settings.kernel_values else None
    if not kernels or texts is None:
        return {}
    folder = report.folder, report.folder_id
    folders = [each for each in asked if each.kind == "files" and report.folder]
    values = [each for each in asked if each.kind == "values"]
    unknown = [each for each in values if not texts.is_answered(each)]
    reads = [read_file(route, folder, each, texts) for each in folders]
    are_read, _ = await asyncio.gather(
        asyncio.gather(*reads), kernels.read(name, unknown) if unknown else asyncio.sleep(0)
    )
    known = [*values, *(each for each, is_read in zip(folders, are_read, strict=True) if is_read)]
    return {each: found for each in known if (found := texts.find(each))}


async def read_file(route: Route, folder: tuple[str, str], readable: Readable, texts: KernelTexts) -> bool:
    """Read the names in a folder or the columns of a file; return whether the disk has answered in time.

    `folder`: the folder of the kernel, and its id.
    """
    access = route.pilot.access

    def is_allowed(path: str) -> bool:
        if is_private_path(path):
            return False
        with suppress(DisabledError):
            return not access.denied or bool(access.check_file(path))
        return False

    async def learn() -> bool:
        changes = texts.changes
        call = partial(folders.read, *folder, readable, is_allowed)
        with suppress(TurbopilotError):
            found = await route.pilot.disk.run(route.caller.name, (*folder, readable), call)
            texts.learn(readable, found, changes)
            return True
        return False

    with suppress(TimeoutError):
        return await asyncio.wait_for(asyncio.shield(learn()), TEXT_SECONDS)
    return False


async def allowed_kernel(route: Route, request: NotebookRequest) -> str | None:
    """Return the kernel of the notebook if the server may query it for the caller."""
    name = request.kernel_id
    if not route.pilot.kernels or not name:
        return None
    if not await may(route, "execute", "kernels"):
        return None
    try:
        session = await ensure_async(route.settings["session_manager"].get_session(kernel_id=name))
    except web.HTTPError:
        return None  # a kernel without a session
    if {*equivalent_paths(str(session.get("path")))}.isdisjoint(equivalent_paths(request.path)):
        return None
    return name
