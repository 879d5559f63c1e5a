from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.analysis import kernel_context as kernel
from jupyter_turbopilot.analysis.members import Member, member_at
from jupyter_turbopilot.jupyter.kernels import folders
from jupyter_turbopilot.jupyter.kernels.watch import TEXT_SECONDS
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


CONFIG = 'config = {"learning_rate": 0.1, "depth": 3, "password": "hunter22"}'


@pytest.fixture
def read(ready: Any, session: Any, jp_serverapp: Any, jp_asyncio_loop: Any, jp_root_dir: Path) -> Any:
    """Return a function that returns a request, in a kernel with a dictionary and two files."""
    own = session["kernel"]["id"]
    (jp_root_dir / "orders.csv").write_text("customer,total\nx,1\n")
    (jp_root_dir / "notes.txt").write_text("x")
    (jp_root_dir / ".env").write_text("x")

    async def run() -> None:
        code = f"import os; os.chdir({str(jp_root_dir)!r})\n{CONFIG}"
        await run_in_kernel(jp_serverapp, own, code)
        for _ in range(600):
            if ready.kernels.kernel_context(own).names:
                break
            await asyncio.sleep(0.05)

    jp_asyncio_loop.run_until_complete(run())

    def body(text: str, **more: Any) -> dict[str, Any]:
        given = {"path": "mine.ipynb", "kernel_id": own, "trigger": "automatic"} | more
        return complete_body(text, **given)

    return body


async def until_read(ask: Ask, body: dict[str, Any]) -> Any:
    """Ask until the kernel has answered in time."""
    for _ in range(200):
        answer = json.loads((await ask("complete", body)).body)
        if any(item.get("read") for item in answer["items"]):
            break
    return answer


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("x = config['lea", "rning_rate'"),
        ("x = config.get('d", "epth'"),
        ("x = pd.read_csv('o", "rders.csv'"),
        ("%run no", "tes.txt"),
    ],
)
async def test_complete_reads_keys_and_files(ask: Ask, read: Any, engine: Any, text: str, rest: str) -> None:
    engine.answer = "something else"
    answer = await until_read(ask, read(text))
    assert [item["text"] for item in answer["items"]] == [rest]
    assert answer["uncached"]
    assert not any(rest in prompt for prompt in engine.prompts)


async def test_complete_keeps_the_late_answer_of_a_disk(
    ask: Ask, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_disk = folders.read

    def slowly(*given: Any) -> Any:
        time.sleep(4 * TEXT_SECONDS)
        return read_disk(*given)

    monkeypatch.setattr(folders, "read", slowly)
    body = read("x = pd.read_csv('o")
    await ask("complete", body)
    await asyncio.sleep(8 * TEXT_SECONDS)
    answer = json.loads((await ask("complete", body)).body)
    assert [item["text"] for item in answer["items"]] == ["rders.csv'"]


async def test_complete_returns_all_keys_as_alternatives(ask: Ask, read: Any) -> None:
    answer = await until_read(ask, read("x = config['", trigger="invoke", n=3))
    assert [item["text"] for item in answer["items"]] == ["learning_rate'", "depth'", "password'"]


async def test_complete_reads_nothing_if_the_setting_is_off(
    ask: Ask, read: Any, ready: Any, engine: Any
) -> None:
    engine.answer = "x']"
    await until_read(ask, read("x = config['lea"))
    ready.settings.kernel_values = False
    answer = json.loads((await ask("complete", read("x = config['lea", trigger="invoke"))).body)
    assert not any(item.get("read") for item in answer["items"])


async def test_complete_chooses_among_the_columns_of_a_file(ask: Ask, read: Any, engine: Any) -> None:
    engine.answer = "ustomer']"
    text = "orders = pd.read_csv('orders.csv')\nx = orders['c"
    await ask("complete", read(text))
    for _ in range(200):
        if any(sampling.beginning.candidates for sampling in engine.samplings):
            break
        await ask("complete", read(text))
    assert b"ustomer'" in engine.samplings[-1].beginning.candidates[0]
