from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from jupyter_turbopilot.analysis import kernel_context as kernel
from jupyter_turbopilot.analysis.members import Member, member_at
from jupyter_turbopilot.jupyter.routes import admission
from jupyter_turbopilot.protocol.request import Completion

from .conftest import Ask, complete_body, run_in_kernel


class QueuedRequest:
    """Records the kernels whose facts were requested."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def kernel_context(self, name: str) -> kernel.KernelContext:
        self.names.append(name)
        return kernel.NONE

    async def members(self, name: str, language: str, code: str) -> kernel.KernelContext:
        self.names.append(f"{name} {language} {code}")
        return kernel.NONE

    def close(self) -> None:
        pass


@pytest.fixture
def asked(ready: Any) -> QueuedRequest:
    ready.kernels.close()
    ready.kernels = QueuedRequest()
    return ready.kernels


async def test_facts_are_of_the_notebooks_own_kernel(ask: Ask, asked: QueuedRequest, session: Any) -> None:
    own = session["kernel"]["id"]
    for path in ("mine.ipynb", "RTC:mine.ipynb"):
        await ask("complete", complete_body(path=path, kernel_id=own))
    assert asked.names == [own, own]


async def test_facts_in_r_are_the_members_at_the_cursor(ask: Ask, asked: QueuedRequest, session: Any) -> None:
    own = session["kernel"]["id"]
    await ask("complete", complete_body("x <- df$pr", path="mine.ipynb", kernel_id=own, language="r"))
    assert asked.names == [f"{own} r df$"]


async def test_facts_in_r_are_found_once_outside_the_event_loop(
    ask: Ask, asked: QueuedRequest, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def find(request: Completion) -> Member | None:
        threads.append(threading.current_thread())
        return member_at(request)

    monkeypatch.setattr(admission, "member_at", find)
    body = complete_body("x <- df$pr", path="mine.ipynb", language="r")
    for kernel_id in (None, "missing"):
        assert (await ask("complete", body | {"kernel_id": kernel_id})).code == 200
    assert threads == asked.names == []
    await ask("complete", body | {"kernel_id": session["kernel"]["id"]})
    (thread,) = threads
    assert thread is not threading.current_thread()


@pytest.mark.parametrize("name", ["missing", "../x", None, "'; drop table session"])
async def test_kernel_without_a_session_gives_no_facts(
    ask: Ask, asked: QueuedRequest, name: str | None
) -> None:
    response = await ask("complete", complete_body(path="mine.ipynb", kernel_id=name))
    assert response.code == 200
    assert asked.names == []


async def test_facts_require_permission_to_execute_code(
    ask: Ask, asked: QueuedRequest, session: Any, jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(jp_serverapp.authorizer),
        "is_authorized",
        lambda _self, _handler, _user, action, resource: (action, resource) != ("execute", "kernels"),
    )
    await ask("complete", complete_body(path="mine.ipynb", kernel_id=session["kernel"]["id"]))
    assert asked.names == []


async def test_kernel_context_reaches_the_suggestion(
    ask: Ask, ready: Any, session: Any, jp_serverapp: Any, engine: Any
) -> None:
    own = session["kernel"]["id"]
    await run_in_kernel(jp_serverapp, own, "a = b = c = 1")
    for _ in range(600):
        if ready.kernels.kernel_context(own).names:
            break
        await asyncio.sleep(0.05)
    body = complete_body(path="mine.ipynb", kernel_id=own, trigger="automatic")
    known = (await ask("complete", body)).body
    engine.answer = "a + b + missing"
    body["cells"][-1]["source"] += " "
    unknown = (await ask("complete", {**body, "offset": body["offset"] + 1})).body
    assert b"a + b + c" in known
    assert b"missing" not in unknown
