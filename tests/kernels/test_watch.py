from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.session import Session
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from jupyter_turbopilot.kernels.watch import MOST_PATIENCE, PATIENCE, UNUSED, Kernels, Watch

HOSTILE = """
import builtins
ran = []
class Meta(type):
    def __getattribute__(cls, name): ran.append('meta ' + name); return type.__getattribute__(cls, name)
    def __hash__(cls): ran.append('hash'); return 1
    def __eq__(cls, other): ran.append('eq'); return True
class Hostile(metaclass=Meta):
    def __getattribute__(self, name): ran.append('get ' + name); raise RuntimeError(name)
    def __repr__(self): ran.append('repr'); raise RuntimeError
    def __len__(self): ran.append('len'); raise RuntimeError
    @property
    def columns(self): ran.append('columns'); raise RuntimeError
    @property
    def __dict__(self): ran.append('dict'); raise RuntimeError
    @property
    def __class__(self): ran.append('class'); raise RuntimeError
hostile = Hostile()
ran.clear()
"""


class Person:
    """Somebody with a real kernel."""

    def __init__(self, manager: AsyncMappingKernelManager, kernel_id: str, client: Any) -> None:
        self.manager, self.kernel_id, self.client = manager, kernel_id, client
        self.kernels = Kernels(manager)

    async def run(self, code: str, **more: Any) -> dict[str, Any]:
        reply = await self.client.execute_interactive(code, timeout=60, output_hook=lambda _: None, **more)
        assert reply["content"]["status"] == "ok", reply["content"]
        return reply["content"]

    async def value(self, expression: str) -> str:
        content = await self.run("", user_expressions={"it": expression})
        return content["user_expressions"]["it"]["data"]["text/plain"]

    async def facts(self, until: Callable[[Any], bool] = lambda facts: bool(facts.names)) -> Any:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            facts = self.kernels.facts(self.kernel_id)
            if until(facts):
                return facts
            await asyncio.sleep(0.05)
        raise TimeoutError(str(facts))


async def somebody(scenario: Callable[[Person], Any]) -> None:
    manager = AsyncMappingKernelManager()
    kernel_id = await manager.start_kernel(kernel_name="python3")
    client = manager.get_kernel(kernel_id).client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        person = Person(manager, kernel_id, client)
        try:
            await scenario(person)
        finally:
            person.kernels.close()
    finally:
        client.stop_channels()
        await manager.shutdown_all(now=True)


def test_names_types_columns_shapes_and_signatures_are_known() -> None:
    async def scenario(person: Person) -> None:
        await person.run(
            "import numpy as np, pandas as pd, polars as pl\n"
            "df = pd.DataFrame({'price': [1.5], 'name': ['a'], 3: [1]})\n"
            "table = pl.DataFrame({'day': [1], 'sum': [2.0]})\n"
            "values = np.zeros((3, 4))\n"
            "def load(path, sep=',', *, header=None): pass\n"
            "class Cat:\n    def meow(self): pass\n"
            "tom = Cat(); tom.age = 3\n"
        )
        names = (await person.facts()).names
        for _ in range(10):
            if names["df"].columns is not None:
                break
            # A machine that is slow at first had no time left to look into it.
            await person.run("seen = df")
            names = (await person.facts(lambda facts, before=names: facts.names is not before)).names
        assert names["df"].columns == [("price", "float64"), ("name", "str")]
        assert not names["df"].all
        assert names["table"].columns == [("day", "Int64"), ("sum", "Float64")]
        assert names["table"].all
        assert (names["values"].shape, names["values"].dtype) == ([3, 4], "float64")
        assert names["load"].parameters == ["path", "sep", "header"]
        assert names["tom"].attributes == {"meow", "age"}
        assert names["np"].attributes is None  # its own `__getattr__` knows further ones
        assert {"In", "Out", "exit"}.isdisjoint(names)

    asyncio.run(somebody(scenario))


def test_facts_follow_each_execution_and_a_restart() -> None:
    async def scenario(person: Person) -> None:
        await person.run("first = 1")
        await person.facts(lambda f: "first" in f.names)
        await person.run("second = 2")
        await person.facts(lambda f: "second" in f.names)
        await person.manager.restart_kernel(person.kernel_id)
        await person.client.wait_for_ready(timeout=60)
        await person.run("third = 3")
        names = (await person.facts(lambda f: "third" in f.names)).names
        assert "first" not in names

    asyncio.run(somebody(scenario))


def test_a_kernel_whose_restart_nobody_heard_of_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Watch._follow

    def deaf(self: Watch, state: str, parent: str | None, ours: bool) -> None:
        if state not in {"starting", "restarting"}:
            heard(self, state, parent, ours)

    monkeypatch.setattr(Watch, "_follow", deaf)
    test_facts_follow_each_execution_and_a_restart()


def test_no_code_of_the_persons_runs_and_hostile_objects_do_no_harm() -> None:
    async def scenario(person: Person) -> None:
        await person.run(HOSTILE)
        await person.run("done = 1")
        names = (await person.facts(lambda f: "done" in f.names)).names
        assert names["hostile"].type == "Hostile"
        assert names["hostile"].attributes is None
        assert await person.value("ran") == "[]"

    asyncio.run(somebody(scenario))


def test_history_outputs_hooks_and_the_count_are_untouched() -> None:
    async def scenario(person: Person) -> None:
        await person.run(
            "seen = []\n"
            "ip = get_ipython()\n"
            "for event in ('pre_run_cell', 'post_run_cell', 'pre_execute', 'post_execute'):\n"
            "    ip.events.register(event, lambda *a, event=event: seen.append(event))\n"
        )
        await person.facts(lambda f: "seen" in f.names)  # installed
        await person.run("41 + 1")
        await person.facts()
        before = await person.value("(ip.execution_count, len(In), dict(Out), _, sorted(globals()))")
        await person.run("seen.clear()", store_history=False)
        await asyncio.sleep(1)  # asked meanwhile
        # Code that runs, were it silent, would fire it.
        assert "pre_execute" not in await person.value("seen")
        after = await person.value("(ip.execution_count, len(In), dict(Out), _, sorted(globals()))")
        assert after == before

    asyncio.run(somebody(scenario))


def test_an_interrupt_while_facts_are_asked_for_costs_nothing_but_the_execution(tmp_path: Path) -> None:
    begun = tmp_path / "begun"

    async def scenario(person: Person) -> None:
        await person.run("first = 1")
        await person.facts()
        code = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(600)"
        sleeping = person.client.execute(code)
        while not begun.exists():
            await asyncio.sleep(0.05)
        assert "first" in person.kernels.facts(person.kernel_id).names
        await person.manager.get_kernel(person.kernel_id).interrupt_kernel()
        while (await person.client.get_shell_msg(timeout=30))["parent_header"]["msg_id"] != sleeping:
            pass
        status = ""
        while status != "ok":  # what is sent at once is aborted with it
            reply = await person.client.execute_interactive("second = 2", timeout=60)
            status = reply["content"]["status"]
        await person.facts(lambda f: {"first", "second"} <= set(f.names))

    asyncio.run(somebody(scenario))


def test_other_clients_hear_answers_but_no_close_and_no_comm_stays_in_the_kernel() -> None:
    async def scenario(person: Person) -> None:
        heard: list[bytes] = []
        page = person.manager.get_kernel(person.kernel_id).connect_iopub()
        page.on_recv(lambda parts: heard.append(b"".join(parts)))
        another = Person(person.manager, person.kernel_id, person.client)  # another server
        try:
            for name in ("first", "second", "third"):
                await person.run(f"{name} = 1")
                for server in (person, another):
                    await server.facts(lambda facts, name=name: name in facts.names)
            await person.run("import gc; gc.collect()")  # a comm that is not closed closes when it is freed
            await person.facts(lambda facts: "gc" in facts.names)
            assert await person.value("len(get_ipython().kernel.comm_manager.comms)") == "0"
            await person.run("last = 1")
            while not any(b"last = 1" in message for message in heard):
                await asyncio.sleep(0.05)
        finally:
            another.kernels.close()
            page.close()
        assert any(b'"comm_msg"' in message for message in heard)
        assert not any(b'"comm_close"' in message for message in heard)

    asyncio.run(somebody(scenario))


def test_a_large_output_is_not_read() -> None:
    async def scenario(person: Person) -> None:
        await person.run("first = 1")
        await person.facts(lambda f: "first" in f.names)
        watch = person.kernels._watches[person.kernel_id]
        read = []
        deserialize = watch._session.deserialize
        watch._session.deserialize = lambda rest: read.append(len(b"".join(rest))) or deserialize(rest)
        await person.run(
            "print('x' * 3_000_000); from IPython.display import display; display('y')\nlast = 1"
        )
        await person.facts(lambda f: "last" in f.names)
        assert read
        assert max(read) < 100_000

    asyncio.run(somebody(scenario))


def test_a_kernel_that_is_not_there_has_no_facts() -> None:
    kernels = Kernels(AsyncMappingKernelManager())
    assert kernels.facts("nobody").names == {}


def test_a_kernel_in_which_nothing_has_run_tells_that_and_where_it_looks_for_modules() -> None:
    async def scenario(person: Person) -> None:
        facts = await person.facts(lambda facts: bool(facts.modules.path))
        assert facts.names == {}
        assert facts.all

    asyncio.run(somebody(scenario))


def test_a_kernel_that_is_asked_while_it_starts_answers_when_it_has_started() -> None:
    async def scenario() -> None:
        manager = AsyncMappingKernelManager()
        kernel_id = await manager.start_kernel(kernel_name="python3")
        person = Person(manager, kernel_id, None)
        try:
            assert (await person.facts(lambda facts: bool(facts.modules.path))).all
        finally:
            person.kernels.close()
            await manager.shutdown_all(now=True)

    asyncio.run(scenario())


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, SimpleNamespace, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Any:
        handle = SimpleNamespace(cancelled=False)
        handle.cancel = lambda: setattr(handle, "cancelled", True)
        self._timers.append((self.now + seconds, handle, callback))
        return handle

    @property
    def waiting(self) -> int:
        return sum(not handle.cancelled for _, handle, _ in self._timers)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self._timers if not timer[1].cancelled and timer[0] <= end]:
            first = min(due, key=lambda timer: timer[0])
            self._timers.remove(first)
            self.now = first[0]
            first[2]()
        self.now = end


class Stream:
    """A kernel's socket that nobody is at the other end of."""

    def on_recv(self, _: object) -> None: ...

    def closed(self) -> bool:
        return False

    def close(self) -> None: ...


class Silent:
    """A watched kernel that does nothing by itself, and when it was asked."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked_at: list[float] = []
        self.manager = SimpleNamespace(
            session=Session(), connect_iopub=Stream, connect_shell=Stream, execution_state="idle",
            last_activity="the person's",
        )  # fmt: skip
        self.watch = Watch(self.manager)
        self.watch._session.send = self._sent
        self.watch.open()

    def _sent(self, _: object, kind: str, content: dict[str, Any]) -> None:
        if kind == "comm_open":
            self.asked_at.append(self.clock.now)
            self.comm = content["comm_id"]

    def says(self, kind: str, *, parent: str = "", **content: Any) -> None:
        message = {"msg_type": kind, "parent_header": {"msg_type": parent}, "content": content}
        self.watch._take(message, ours=False)

    def answers(self) -> None:
        self.says("comm_msg", comm_id=self.comm, data={"names": {}, "all": True})

    def is_used(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.watch.use()
            self.clock.advance(1)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Silent:
    clock = Clock()
    monkeypatch.setattr("jupyter_turbopilot.kernels.watch.time", clock)
    loop = SimpleNamespace(get_running_loop=lambda: clock)
    monkeypatch.setattr("jupyter_turbopilot.kernels.watch.asyncio", loop)
    return Silent(clock)


def pauses(silent: Silent) -> list[float]:
    return [round(later - earlier, 3) for earlier, later in pairwise(silent.asked_at)]


def test_a_silent_kernel_is_asked_less_and_less_often_but_not_given_up(silent: Silent) -> None:
    silent.is_used(600)
    assert pauses(silent)[:5] == [PATIENCE, 2 * PATIENCE, 4 * PATIENCE, 8 * PATIENCE, MOST_PATIENCE]
    assert set(pauses(silent)[5:]) == {MOST_PATIENCE}


def test_an_answer_or_a_restart_brings_the_first_patience_back(silent: Silent) -> None:
    silent.is_used(300)
    silent.says("status", execution_state="starting")
    silent.is_used(20)
    assert pauses(silent)[-2:] == [PATIENCE, 2 * PATIENCE]
    silent.answers()
    silent.says("status", parent="execute_request", execution_state="idle")
    silent.is_used(12)
    assert pauses(silent)[-1] == PATIENCE


def test_a_kernel_that_computes_is_asked_once_however_long_it_takes(silent: Silent) -> None:
    silent.clock.advance(1)
    silent.says("status", parent="execute_request", execution_state="busy")
    silent.is_used(400)
    silent.says("status", parent="execute_request", execution_state="idle")
    silent.is_used(1)
    assert len(silent.asked_at) == 1  # the question is still in its queue
    silent.answers()
    silent.is_used(1)
    silent.answers()
    assert len(silent.asked_at) == 2  # about what was executed meanwhile
    silent.says("status", parent="execute_request", execution_state="idle")
    silent.manager.execution_state = "busy"  # with something other than an execution
    silent.is_used(100)
    assert len(silent.asked_at) == 2


def test_no_question_is_asked_while_another_is_open(silent: Silent) -> None:
    for _ in range(8):
        silent.says("status", parent="execute_request", execution_state="idle")
        silent.clock.advance(0.5)
    assert len(silent.asked_at) == 1
    silent.answers()
    silent.clock.advance(1)
    assert len(silent.asked_at) == 2


def test_nothing_is_left_to_do_once_it_is_closed(silent: Silent) -> None:
    silent.clock.advance(1)
    silent.says("status", parent="execute_request", execution_state="idle")
    silent.watch.close()
    assert not silent.clock.waiting


def test_a_kernel_that_nobody_wants_to_know_about_is_asked_when_somebody_does_again(silent: Silent) -> None:
    silent.clock.advance(1)
    silent.answers()
    silent.says("status", parent="execute_request", execution_state="busy")
    silent.clock.advance(2 * UNUSED)
    silent.says("status", parent="execute_request", execution_state="idle")
    silent.clock.advance(10)
    assert len(silent.asked_at) == 1
    silent.is_used(1)
    assert len(silent.asked_at) == 2


def test_asking_is_no_activity_that_keeps_a_kernel_from_being_culled(silent: Silent) -> None:
    silent.clock.advance(1)
    silent.manager.last_activity = "the question's"
    silent.answers()
    silent.clock.advance(1)
    assert silent.manager.last_activity == "the person's"


def test_a_question_whose_answer_did_not_arrive_is_no_activity_either(silent: Silent) -> None:
    silent.clock.advance(1)
    silent.manager.last_activity = "the first question's"
    silent.is_used(10)
    assert len(silent.asked_at) == 2
    silent.answers()
    silent.clock.advance(1)
    assert silent.manager.last_activity == "the person's"
