from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.session import Session
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import TraitError

from jupyter_turbopilot.analysis.kernel_context import KernelContext
from jupyter_turbopilot.analysis.report import NONE
from jupyter_turbopilot.analysis.texts import Readable, Texts
from jupyter_turbopilot.jupyter.kernels import watch
from jupyter_turbopilot.jupyter.kernels.watch import (
    CHECK_INTERVAL,
    FRESH,
    MOST_BYTES,
    POLL,
    SETTLE,
    UNUSED,
    Kernels,
    Watch,
)

from ...waiting import reached

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
    """A user with a real kernel."""

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

    async def kernel_context(
        self, until: Callable[[Any], bool] = lambda kernel_context: bool(kernel_context.names)
    ) -> Any:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            kernel_context = self.kernels.kernel_context(self.kernel_id)
            if until(kernel_context):
                return kernel_context
            await asyncio.sleep(0.05)
        raise TimeoutError(str(kernel_context))


async def with_kernel(scenario: Callable[[Person], Any], kernel_name: str = "python3") -> None:
    manager = AsyncMappingKernelManager()
    kernel_id = await manager.start_kernel(kernel_name=kernel_name)
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


def test_watch_knows_names_columns_attributes_and_signatures() -> None:
    async def scenario(person: Person) -> None:
        await person.run(
            "import numpy as np, pandas as pd, polars as pl\n"
            "df = pd.DataFrame({'price': [1.5], 'name': ['a'], 3: [1]})\n"
            "table = pl.DataFrame({'day': [1], 'sum': [2.0]})\n"
            "def load(path, sep=',', *, header=None): pass\n"
            "class Cat:\n    def meow(self): pass\n"
            "tom = Cat(); tom.age = 3\n"
        )
        names = (await person.kernel_context()).names
        for _ in range(10):
            if names["df"].columns is not None:
                break
            # On a slow machine, the first inspection may have run out of time.
            await person.run("seen = df")
            names = (
                await person.kernel_context(
                    lambda kernel_context, before=names: kernel_context.names is not before
                )
            ).names
        assert names["df"].columns == ["price", "name"]
        assert not names["df"].all
        assert names["table"].columns == ["day", "sum"]
        assert names["table"].all
        assert names["load"].parameters == ["path", "sep", "header"]
        assert names["tom"].attributes == {"meow", "age"}
        assert names["np"].attributes is None  # its `__getattr__` provides further ones
        assert {"In", "Out", "exit"}.isdisjoint(names)

    asyncio.run(with_kernel(scenario))


def test_watch_follows_executions_and_a_restart() -> None:
    async def scenario(person: Person) -> None:
        await person.run("first = 1")
        await person.kernel_context(lambda f: "first" in f.names)
        await person.run("second = 2")
        await person.kernel_context(lambda f: "second" in f.names)
        await person.manager.restart_kernel(person.kernel_id)
        await person.client.wait_for_ready(timeout=60)
        await person.run("third = 3")
        names = (await person.kernel_context(lambda f: "third" in f.names)).names
        assert "first" not in names

    asyncio.run(with_kernel(scenario))


@pytest.fixture
def unnoticed_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    received = Watch._update_state

    def deaf(self: Watch, state: str, parent: str | None) -> None:
        if state not in {"starting", "restarting"}:
            received(self, state, parent)

    monkeypatch.setattr(Watch, "_update_state", deaf)


@pytest.mark.usefixtures("unnoticed_restarts")
def test_watch_reinstalls_the_handler_after_an_unnoticed_restart() -> None:
    test_watch_follows_executions_and_a_restart()


def test_watch_runs_no_user_code_and_survives_hostile_objects() -> None:
    async def scenario(person: Person) -> None:
        await person.run(HOSTILE)
        await person.run("done = 1")
        names = (await person.kernel_context(lambda f: "done" in f.names)).names
        assert names["hostile"].type == "Hostile"
        assert names["hostile"].attributes is None
        assert await person.value("ran") == "[]"

    asyncio.run(with_kernel(scenario))


def test_watch_changes_no_history_output_hooks_or_count() -> None:
    async def scenario(person: Person) -> None:
        await person.run(
            "seen = []\n"
            "ip = get_ipython()\n"
            "for event in ('pre_run_cell', 'post_run_cell', 'pre_execute', 'post_execute'):\n"
            "    ip.events.register(event, lambda *a, event=event: seen.append(event))\n"
        )
        await person.kernel_context(lambda f: "seen" in f.names)  # installed
        await person.run("41 + 1")
        await person.kernel_context()
        before = await person.value("(ip.execution_count, len(In), dict(Out), _, sorted(globals()))")
        await person.run("seen.clear()", store_history=False)
        await asyncio.sleep(1)  # a query runs meanwhile
        # Any executed code would trigger it, even a silent one.
        assert "pre_execute" not in await person.value("seen")
        after = await person.value("(ip.execution_count, len(In), dict(Out), _, sorted(globals()))")
        assert after == before

    asyncio.run(with_kernel(scenario))


def test_watch_survives_an_interrupt_during_a_query(tmp_path: Path) -> None:
    begun = tmp_path / "begun"

    async def scenario(person: Person) -> None:
        await person.run("first = 1")
        await person.kernel_context()
        code = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(600)"
        sleeping = person.client.execute(code)
        await reached(begun.exists)
        assert "first" in person.kernels.kernel_context(person.kernel_id).names
        await person.manager.get_kernel(person.kernel_id).interrupt_kernel()
        while (await person.client.get_shell_msg(timeout=30))["parent_header"]["msg_id"] != sleeping:
            pass
        status = ""
        while status != "ok":  # messages sent at once are aborted, too
            reply = await person.client.execute_interactive("second = 2", timeout=60)
            status = reply["content"]["status"]
        await person.kernel_context(lambda f: {"first", "second"} <= set(f.names))

    asyncio.run(with_kernel(scenario))


def test_watch_publishes_no_close_and_leaves_no_comm() -> None:
    async def scenario(person: Person) -> None:
        received: list[bytes] = []
        page = person.manager.get_kernel(person.kernel_id).connect_iopub()
        page.on_recv(lambda parts: received.append(b"".join(parts)))
        another = Person(person.manager, person.kernel_id, person.client)  # another server
        try:
            for name in ("first", "second", "third"):
                await person.run(f"{name} = 1")
                for server in (person, another):
                    await server.kernel_context(
                        lambda kernel_context, name=name: name in kernel_context.names
                    )
            await person.run("import gc; gc.collect()")  # an open comm is closed when it is freed
            await person.kernel_context(lambda kernel_context: "gc" in kernel_context.names)
            assert await person.value("len(get_ipython().kernel.comm_manager.comms)") == "0"
            await person.run("last = 1")
            await reached(lambda: any(b"last = 1" in message for message in received))
        finally:
            another.kernels.close()
            page.close()
        assert any(b'"comm_msg"' in message for message in received)
        assert not any(b'"comm_close"' in message for message in received)

    asyncio.run(with_kernel(scenario))


class Clock:
    """A clock controlled by the test."""

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

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self._timers if not timer[1].cancelled and timer[0] <= end]:
            first = min(due, key=lambda timer: timer[0])
            self._timers.remove(first)
            self.now = first[0]
            first[2]()
        self.now = end


class Stream:
    """A kernel's socket without a peer."""

    is_closed = False

    def on_recv(self, callback: Callable[[list[bytes]], None]) -> None:
        self.receive = callback

    def closed(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


class Silent:
    """A watched kernel that never answers by itself, with the times of its queries."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked_at: list[float] = []
        self.questions: list[str] = []
        self.wanted: list[list[str] | None] = []  # in each query by a comm
        self.iopub = Stream()
        self.manager = SimpleNamespace(
            session=Session(), connect_iopub=lambda: self.iopub, connect_shell=Stream, execution_state="idle",
            last_activity="the user's", kernel_spec=SimpleNamespace(language="python"), ready=object(),
        )  # fmt: skip
        self.watch = Watch(self.manager)
        self.watch._session.send = self._sent
        self.watch.open()

    def _sent(self, _: object, message: dict[str, Any]) -> None:
        if message["msg_type"] == "comm_open":
            self.asked_at.append(self.clock.now)
            self.comm, self.request = message["content"]["comm_id"], message
            self.wanted.append(message["content"]["data"].get("wanted"))
        elif message["msg_type"] == "complete_request":
            self.questions.append(message["content"]["code"])
            self.request = message

    @property
    def asked(self) -> int:
        """The number of queries."""
        return len(self.asked_at) + len(self.questions)

    def says(self, kind: str, *, parent: str = "", identifier: str = "", **content: Any) -> None:
        header = {"msg_type": parent, "msg_id": identifier}
        self.watch._process({"msg_type": kind, "parent_header": header, "content": content})

    def answers(self) -> None:
        if self.request["msg_type"] == "complete_request":
            self.says("complete_reply", identifier=self.request["header"]["msg_id"], matches=[])
        else:
            data = {"names": {}, "all": True, "report": {"all": True}}
            self.says("comm_msg", comm_id=self.comm, data=data)

    def is_used(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.watch.use()
            self.clock.advance(1)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Silent:
    clock = Clock()
    monkeypatch.setattr("jupyter_turbopilot.jupyter.kernels.watch.time", clock)
    loop = SimpleNamespace(get_running_loop=lambda: clock)
    monkeypatch.setattr("jupyter_turbopilot.jupyter.kernels.watch.asyncio", loop)
    return Silent(clock)


def test_watch_queries_a_busy_kernel_once(silent: Silent) -> None:
    silent.clock.advance(1)
    silent.says("status", parent="execute_request", execution_state="busy")
    silent.is_used(400)
    silent.says("status", parent="execute_request", execution_state="idle")
    silent.is_used(1)
    assert len(silent.asked_at) == 1  # the query is still in its queue
    silent.answers()
    silent.is_used(1)
    silent.answers()
    assert len(silent.asked_at) == 2  # after an execution meanwhile
    silent.says("status", parent="execute_request", execution_state="idle")
    silent.manager.execution_state = "busy"  # with another kind of request
    silent.is_used(100)
    assert len(silent.asked_at) == 2


def test_watch_pauses_while_unused(silent: Silent) -> None:
    silent.clock.advance(1)
    silent.answers()
    silent.says("status", parent="execute_request", execution_state="busy")
    silent.clock.advance(2 * UNUSED)
    silent.says("status", parent="execute_request", execution_state="idle")
    silent.clock.advance(10)
    assert len(silent.asked_at) == 1
    silent.is_used(1)
    assert len(silent.asked_at) == 2


def test_watch_does_not_count_as_kernel_activity(silent: Silent) -> None:
    silent.clock.advance(1)
    silent.manager.last_activity = "the question's"
    silent.answers()
    silent.clock.advance(1)
    assert silent.manager.last_activity == "the user's"


def test_watch_restores_activity_after_an_unanswered_query(silent: Silent) -> None:
    silent.clock.advance(1)
    silent.manager.last_activity = "the first question's"
    silent.is_used(10)
    assert len(silent.asked_at) == 2
    silent.answers()
    silent.clock.advance(1)
    assert silent.manager.last_activity == "the user's"


def test_watch_parses_only_answers_to_its_own_requests(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel, parsed, parse = silent.manager.session, list[str](), Session.deserialize

    def deserialize(self: Session, parts: list[bytes]) -> dict[str, Any]:
        message = parse(self, parts)
        parsed.append(f"{message['msg_type']} {message['parent_header']['msg_type']}")
        return message

    silent.clock.advance(1)
    monkeypatch.setattr(Session, "deserialize", deserialize)
    for parent in (kernel.msg("execute_request"), silent.request):
        for kind, content in (
            ("comm_msg", {"comm_id": silent.comm, "data": {"names": {"first": {}}, "all": True}}),
            ("comm_msg", {"comm_id": silent.comm, "data": "x" * MOST_BYTES}),
            ("status", {"execution_state": "idle"}),
            ("stream", {}),
        ):
            silent.iopub.receive(kernel.serialize(kernel.msg(kind, content, parent=parent)))
    assert parsed == ["status execute_request", "comm_msg comm_open"]
    assert [*silent.watch.use().names] == ["first"]


def test_watch_answers_a_check_that_waits_while_it_is_closed() -> None:
    async def scenario(person: Person) -> None:
        check = asyncio.create_task(person.kernels.check(person.kernel_id, ["value"]))
        await asyncio.sleep(0)  # it waits, because the socket was just opened
        person.kernels.close()
        assert await check is NONE

    asyncio.run(with_kernel(scenario))


def test_watch_closes_its_sockets_if_it_cannot_connect() -> None:
    opened: list[Stream] = []

    def connect() -> Stream:
        opened.append(Stream())
        return opened[-1]

    def fail() -> Stream:
        raise OSError

    manager = SimpleNamespace(
        session=Session(), connect_iopub=connect, connect_shell=fail,
        kernel_spec=SimpleNamespace(language="python"),
    )  # fmt: skip

    class Managers(dict[str, Any]):
        """A manager of a kernel."""

        def get_kernel(self, name: str) -> Any:
            return self[name]

    assert Kernels(Managers(own=manager)).kernel_context("own") == KernelContext()
    assert [stream.closed() for stream in opened] == [True]


async def report(person: Person, *wanted: str) -> Any:
    """Return the first report with an error: on a busy machine, a kernel may answer late."""
    for _ in range(10):
        found = await person.kernels.report(person.kernel_id, wanted)
        if found.error:
            return found
    raise TimeoutError


async def fail(person: Person, code: str) -> None:
    reply = await person.client.execute_interactive(code, timeout=60, output_hook=lambda _: None)
    assert reply["content"]["status"] == "error"


def test_report_describes_the_error_of_the_last_cell() -> None:
    async def scenario(person: Person) -> None:
        await person.run("def f(frame):\n    return frame['revenu']")
        await fail(person, "f({'revenue': 1})")
        found = await report(person, "frame", "f")
        assert (found.error.type, found.error.key) == ("KeyError", "revenu")
        assert found.objects["frame"].keys == ["revenue"]
        assert [(frame.line, frame.column) for frame in found.error.frames[-2:]] == [(1, 0), (2, 11)]
        assert "f" in person.kernels.kernel_context(person.kernel_id).names
        await person.client.wait_for_ready(timeout=60)
        activity = person.manager.get_kernel(person.kernel_id).last_activity
        await report(person)
        await reached(lambda: person.manager.get_kernel(person.kernel_id).last_activity == activity)

    asyncio.run(with_kernel(scenario))


def test_report_of_a_busy_or_dead_kernel_is_empty() -> None:
    async def scenario(person: Person) -> None:
        await fail(person, "first")
        await report(person)
        person.client.execute("import time; time.sleep(600)")
        await reached(lambda: person.kernels._watches[person.kernel_id].busy)
        assert await person.kernels.report(person.kernel_id, []) == NONE
        kernel = person.manager.get_kernel(person.kernel_id)
        kernel.stop_restarter()  # while it restarts the killed kernel, the shutdown fails
        await kernel.signal_kernel(9)
        assert await person.kernels.report(person.kernel_id, []) == NONE

    asyncio.run(with_kernel(scenario))


def test_check_queries_an_idle_kernel_once_after_each_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    send = Watch._send

    def noted(watch: Watch, messages: Any) -> Any:
        asked.extend(message.type for message in messages if message.content.get("data", {}).get("wanted"))
        return send(watch, messages)

    monkeypatch.setattr(Watch, "_send", noted)

    async def scenario(person: Person) -> None:
        async def checked(*wanted: str) -> Any:
            return await person.kernels.check(person.kernel_id, [*wanted])

        await person.run("frame = {'revenue': 1}")
        while not (found := await checked("frame")).all:  # on a busy machine, a kernel may answer late
            asked.clear()
        assert found.objects["frame"].keys == ["revenue"]
        before = len(asked)
        assert await checked("frame") is found
        assert len(asked) == before
        assert (await checked("other")).objects == {}
        await person.run("frame['other'] = 1")
        while (found := await checked("frame")).executions != 2:
            await asyncio.sleep(0.05)
        assert found.objects["frame"].keys == ["revenue", "other"]
        person.client.execute("import time; time.sleep(600)")
        await reached(lambda: person.kernels._watches[person.kernel_id].busy)
        before = len(asked)
        assert await checked("frame") == NONE
        assert len(asked) == before, "a busy kernel is not queried"

    asyncio.run(with_kernel(scenario))


@pytest.mark.usefixtures("unnoticed_restarts")
def test_check_after_an_unnoticed_restart_queries_the_new_kernel() -> None:
    async def scenario(person: Person) -> None:
        async def has_frame() -> bool:
            while not (found := await person.kernels.check(person.kernel_id, ["frame"])).all:
                await asyncio.sleep(0.05)
            return "frame" in found.objects

        await person.run("frame = {'revenue': 1}")
        while not await has_frame():
            await asyncio.sleep(0.05)
        await person.manager.restart_kernel(person.kernel_id)
        await person.client.wait_for_ready(timeout=60)
        assert not await has_frame()

    asyncio.run(with_kernel(scenario))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Control the time of the kernel's watch, except for its timers."""
    clock = Clock()
    monkeypatch.setattr(watch, "time", clock)
    for limit in ("REPORT_SECONDS", "MEMBER_SECONDS"):  # the timers may be late on a busy machine
        monkeypatch.setattr(watch, limit, 60)
    return clock


def with_silent(clock: Clock, scenario: Callable[[Silent], Any]) -> None:
    """Run a scenario with a kernel that has answered its first query."""

    async def run() -> None:
        silent = Silent(clock)
        await reached(lambda: silent.asked)
        silent.answers()
        clock.now += SETTLE
        await scenario(silent)
        silent.watch.close()

    asyncio.run(run())


async def polled() -> None:
    """Wait until all that wait for the kernel have seen its state."""
    await asyncio.sleep(5 * POLL)


async def checked(silent: Silent, *wanted: str) -> Any:
    """Return the report for a check; answer its query if there is one."""
    before, check = silent.asked, asyncio.create_task(silent.watch.check([*wanted]))
    await reached(lambda: check.done() or silent.asked > before)
    if silent.asked > before:
        silent.answers()
    return await check


def test_watch_has_only_one_open_query(clock: Clock) -> None:
    async def scenario(silent: Silent) -> None:
        silent.says("status", parent="execute_request", execution_state="idle")
        await reached(lambda: silent.asked == 2)  # the context
        others = [
            asyncio.create_task(silent.watch.report(["a"])),
            asyncio.create_task(silent.watch.check(["b"])),
            asyncio.create_task(silent.watch.members("c$")),
        ]
        for number in range(2, 5):
            await polled()
            assert silent.asked == number
            silent.answers()
            await reached(lambda number=number: silent.asked > number)
        silent.answers()
        assert (await others[0]).all
        assert (await others[1]).all

    with_silent(clock, scenario)


def test_watch_sends_nothing_while_an_execution_runs(clock: Clock) -> None:
    async def scenario(silent: Silent) -> None:
        silent.says("status", parent="execute_request", execution_state="busy")
        assert await silent.watch.check(["a"]) == NONE
        report = asyncio.create_task(silent.watch.report(["a"]))
        await polled()
        assert silent.asked == 1
        silent.says("status", parent="execute_request", execution_state="idle")
        await reached(lambda: silent.asked == 2)
        silent.answers()
        assert (await report).all

    with_silent(clock, scenario)


def test_check_replaces_one_that_waits(clock: Clock) -> None:
    async def scenario(silent: Silent) -> None:
        await checked(silent, "first")
        checks = [asyncio.create_task(silent.watch.check([name])) for name in ("second", "third")]
        await polled()
        assert await checks[0] == NONE
        assert silent.asked == 2, "only one check a second is sent"
        clock.now += CHECK_INTERVAL
        await reached(lambda: silent.asked == 3)
        silent.answers()
        assert (await checks[1]).all
        assert silent.wanted == [None, ["first"], ["third"]]

    with_silent(clock, scenario)


def test_check_is_asked_again_after_two_seconds(clock: Clock) -> None:
    async def scenario(silent: Silent) -> None:
        found = await checked(silent, "frame")
        clock.now += FRESH - 0.1
        assert await checked(silent, "frame") is found
        clock.now += 0.1
        assert await checked(silent, "frame") is not found
        assert silent.asked == 3

    with_silent(clock, scenario)


@pytest.mark.parametrize(
    ("parent", "asked"),
    [
        ("comm_open", 3),
        ("comm_msg", 3),
        ("comm_close", 3),
        ("debug_request", 3),
        ("execute_request", 3),
        ("complete_request", 2),
        ("kernel_info_request", 2),
        ("create_subshell_request", 2),
        ("usage_request", 2),
    ],
)
def test_check_is_asked_again_after_messages_that_run_code(clock: Clock, parent: str, asked: int) -> None:
    async def scenario(silent: Silent) -> None:
        await checked(silent, "frame")
        clock.now += CHECK_INTERVAL
        silent.says("status", parent=parent, execution_state="idle")
        assert (await checked(silent, "frame")).all
        assert silent.asked == asked

    with_silent(clock, scenario)


def test_answer_for_a_check_has_no_kernel_context(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[set[str]] = []
    process = Watch._process

    def noted(self: Watch, message: dict[str, Any]) -> None:
        if message["msg_type"] == "comm_msg":
            answers.append({*message["content"]["data"]})
        process(self, message)

    monkeypatch.setattr(Watch, "_process", noted)

    async def scenario(person: Person) -> None:
        await person.run("frame = {'revenue': 1}")
        await person.kernel_context()
        while not (await person.kernels.check(person.kernel_id, ["frame"])).all:
            await asyncio.sleep(POLL)
        assert answers[-1] == {"report"}
        assert "frame" in person.kernels.kernel_context(person.kernel_id).names

    asyncio.run(with_kernel(scenario))


@pytest.mark.usefixtures("unnoticed_restarts")
def test_kernel_context_after_an_unnoticed_restart_is_that_of_the_new_kernel() -> None:
    async def scenario(person: Person) -> None:
        await person.run("first = 1")
        await person.kernel_context(lambda found: "first" in found.names)
        await person.manager.restart_kernel(person.kernel_id)
        await person.client.wait_for_ready(timeout=60)
        assert not person.kernels.kernel_context(person.kernel_id).names
        await person.kernel_context(lambda found: found.all)

    asyncio.run(with_kernel(scenario))


def test_check_during_a_message_to_a_widget_is_not_stored() -> None:
    async def scenario() -> None:
        silent = Silent(Clock())
        await reached(lambda: silent.asked_at)
        silent.answers()

        async def is_known(*, widget: bool) -> bool:
            """Return whether a check got an answer, maybe after a message to a widget."""
            asked, silent.comm = asyncio.create_task(silent.watch.check(["frame"])), ""
            while not silent.comm:
                await asyncio.sleep(0)
                if asked.done():
                    return asked.result().all
            if widget:
                silent.says("status", parent="comm_msg", execution_state="idle")
            silent.says("comm_msg", comm_id=silent.comm, data={"report": {"all": True}})
            return (await asked).all

        assert not await is_known(widget=True)
        assert await is_known(widget=False)
        silent.watch.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("error", [TypeError, TraitError, NotImplementedError])
def test_kernel_that_cannot_be_watched_has_no_context(error: type[Exception]) -> None:
    class Managers(dict[str, Any]):
        """A manager of kernels that run elsewhere."""

        def get_kernel(self, _: str) -> Any:
            raise error

    assert Kernels(Managers()).kernel_context("elsewhere") == KernelContext()


def test_watch_asks_for_members_despite_a_lost_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PATIENCE", 0.5)

    async def scenario() -> None:
        silent = Silent(Clock())
        silent.watch.language = "r"
        await silent.watch.members("wide$")
        await silent.watch.members("df$")
        assert silent.questions == ["wide$"]  # the kernel may still answer
        while silent.asked == 1:
            await silent.watch.members("df$")
        assert silent.questions == ["wide$", "df$"]
        silent.watch.close()

    asyncio.run(scenario())


@pytest.fixture
def r_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a kernel spec of IRkernel."""
    found = shutil.which("R") and subprocess.run(["R", "--slave", "-e", "library(IRkernel)"], check=False)
    if not found or found.returncode:
        pytest.skip("IRkernel is not installed")
    folder = tmp_path / "kernels" / "ir"
    folder.mkdir(parents=True)
    command = ["R", "--slave", "-e", "IRkernel::main()", "--args", "{connection_file}"]
    spec = {"argv": command, "display_name": "R", "language": "R"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    return "ir"


def test_watch_returns_members_of_objects_in_r(r_kernel: str) -> None:
    async def scenario(person: Person) -> None:
        async def members(code: str, language: str = "r") -> frozenset[str] | None:
            names = (await person.kernels.members(person.kernel_id, language, code)).names
            return names[code].attributes if names else None

        async def becomes(expected: set[str]) -> None:
            for _ in range(50):  # the end of an execution may be noticed late, and an answer may be late
                if (found := await members("df$")) == expected:
                    return
                await asyncio.sleep(0.1)
            raise AssertionError(found)

        await person.run("df <- data.frame(price = 1, `unit cost` = 2, check.names = FALSE)")
        await becomes({"price", "`unit cost`"})
        assert await members("missing$") is None
        assert await members("df$", "python") is None
        await person.run("df$region <- 'north'")
        await becomes({"price", "`unit cost`", "region"})
        # While a cell runs, the kernel is not asked.
        person.client.execute("Sys.sleep(5); other <- df")
        await asyncio.sleep(0.5)
        assert await members("other$") is None
        assert await members("df$") == {"price", "`unit cost`", "region"}

    asyncio.run(with_kernel(scenario, r_kernel))


def test_watch_forgets_the_files_of_the_folder_before(tmp_path: Path) -> None:
    async def scenario(person: Person) -> None:
        await person.run("import os")
        await person.kernel_context(lambda f: "os" in f.names)
        texts, files = person.kernels.texts(person.kernel_id), Readable("files", "")
        assert texts
        before, folder = texts.changes, tmp_path / "inner"
        folder.mkdir()
        running = asyncio.create_task(person.run(f"os.chdir({str(folder)!r})"))
        while texts.changes < before + 2:  # until the kernel is busy and idle again
            await asyncio.sleep(0)
        texts.learn(files, Texts(("old.csv",)), texts.changes)
        assert texts.is_answered(files)
        await person.kernel_context(lambda f: f.modules.folder == str(folder))
        await running
        assert not texts.is_answered(files)

    asyncio.run(with_kernel(scenario))


def test_watch_reads_texts_until_the_next_execution() -> None:
    async def scenario(person: Person) -> None:
        region, keys = Readable("values", "df['region']"), Readable("keys", "config")
        await person.run(
            "import pandas as pd\nconfig = {'rate': 1}\n"
            "df = pd.DataFrame({'region': ['north', 'south', 'north']})"
        )
        await person.kernel_context(lambda f: "df" in f.names)
        texts = person.kernels.texts(person.kernel_id)
        assert texts
        end = time.monotonic() + 20
        while not texts.is_answered(keys) and time.monotonic() < end:
            await person.kernels.read(person.kernel_id, [region, keys])
            await asyncio.sleep(POLL)
        assert texts.find(region) == Texts(("north", "south"), all=True, whole=True)
        assert texts.find(keys) == Texts(("rate",), all=True, whole=True)
        await person.run("config['depth'] = 2")
        await person.kernel_context(lambda _: not texts.is_answered(keys))
        while not texts.is_answered(keys) and time.monotonic() < end:
            await person.kernels.read(person.kernel_id, [keys])
            await asyncio.sleep(POLL)
        assert texts.find(keys) == Texts(("rate", "depth"), all=True, whole=True)
        assert texts.find(region) is None
        assert person.kernels.texts("missing") is None
        unknown = [Readable("keys", f"missing{number}") for number in range(9)]  # more than an answer has
        while not all(map(texts.is_answered, unknown)) and time.monotonic() < end:
            await person.kernels.read(person.kernel_id, unknown)
        assert all(map(texts.is_answered, unknown))
        await person.kernels.read("missing", [keys])

    asyncio.run(with_kernel(scenario))
