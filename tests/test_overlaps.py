"""Overlapping requests have the recorded results: data/overlaps.json contains the scripts and their results.

Each script runs over HTTP against a server in this process. The script triggers each step of its engine, so
results do not depend on the machine's speed. After each step of a script, the whole visible state is compared
with the recorded one: the engine's texts, the results of requests, and the number of frames.

After an intended change of answers, `python -m tests.test_overlaps [WORDS]` records the scripts whose names
contain these words, or all scripts. Review the diff.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import ssl
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from jupyter_turbopilot.completer import completer, raw_plan, suggestion_plan
from jupyter_turbopilot.context.kernel_context import read_kernel_context
from jupyter_turbopilot.jupyter.identity import KeyIdentity
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.jupyter.standalone import application
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.util import lookups

from .index.fake_index import FakeIndex, sighting
from .multi_user_service import HeaderIdentity
from .scripted_engine import pilot_with
from .stepped_engine import SteppedEngine
from .tiny_model import write_tiny_model

RECORD = Path(__file__).parent / "data" / "overlaps.json"
KEY = "overlaps"
SCRIPTS: list[dict[str, Any]] = json.loads(RECORD.read_text("utf-8"))
PATIENCE = 30.0  # the timeout in seconds for the recorded state
STILL = 0.2  # while recording: seconds without a change after which the state is final
# What differs in each run, or with the fit of the gate.
_VARIABLE = re.compile(
    r"id|confidence|hidden_reason|created|system_fingerprint|generation_settings|\w+_ms|\w+_per_second"
)
_COUNT = re.compile(r'turbopilot_requests_total\{code="(\w*)",outcome="(\w+)",route="(\w+)"\} (\d+)')
_WAITING = re.compile(r"^turbopilot_queue (\d+)", re.MULTILINE)

State = dict[str, Any]


class SteppedIndex(FakeIndex):
    """A notebook index with a few lines. While it is held, a lookup blocks until the index is released."""

    def __init__(self, about: dict[str, Any]) -> None:
        lines = {line: sighting("", documents) for line, documents in about.get("lines", {}).items()}
        super().__init__(lines, self._wait)
        self.looking = False  # whether a lookup is running
        self._fails: bool = about.get("fails", False)
        self._released = threading.Event()
        self._released.set()

    def hold(self) -> None:
        self._released.clear()

    def release(self) -> None:
        self._released.set()

    def close(self) -> None:
        self.release()

    def _wait(self) -> None:
        if self._fails:
            raise OSError
        self.looking = not self._released.is_set()
        self._released.wait()
        self.looking = False


class MetricsForAll(HeaderIdentity):
    """Users who may all see the metrics."""

    def may_manage(self, user: Any) -> bool:
        return True


class QueuedRequest:
    """A request and its result."""

    def __init__(self, client: httpx.AsyncClient, step: dict[str, Any]) -> None:
        self.status = 0
        self.frames: list[Any] = []
        self.ended = ""
        self._task = asyncio.create_task(self._ask(client, step))

    async def _ask(self, client: httpx.AsyncClient, step: dict[str, Any]) -> None:
        route = step.get("route", "complete")
        headers = {"User-Agent": step.get("agent", "editor")} | step.get("headers", {})
        try:
            async with client.stream("POST", f"/{route}", json=_body(step), headers=headers) as reply:
                self.status = reply.status_code
                async for line in reply.aiter_lines():
                    if line:
                        self.frames.append(_plain(line.removeprefix("data: ")))
            self.ended = "ended"
        except asyncio.CancelledError:
            self.ended = "left"

    async def leave(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self.ended = "left"


def _body(step: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a request; if text is typed, like that of the editor."""
    more: dict[str, Any] = step.get("body", {})
    if "typed" not in step:
        return more
    cell = {"id": "cell", "source": step["typed"] + step.get("behind", "")}
    asked = {"cells": [cell], "offset": len(step["typed"]), "path": "a.ipynb", "client": "tab"}
    return asked | {"trigger": "invoke", "stream": True} | more


def _plain(line: str) -> Any:
    """Decode a frame without fields that change in each run."""

    def reported(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: reported(one) for name, one in value.items() if not _VARIABLE.fullmatch(name)}
        return [reported(one) for one in value] if isinstance(value, list) else value

    return line if line == "[DONE]" else reported(json.loads(line))


class Play:
    """A running script."""

    def __init__(
        self, client: httpx.AsyncClient, pilot: Pilot, engine: SteppedEngine, index: SteppedIndex | None
    ) -> None:
        self.client = client
        self.pilot = pilot
        self.engine = engine
        self.index = index
        self.asked: dict[str, QueuedRequest] = {}

    async def do(self, step: dict[str, Any]) -> None:
        """Run a step of the script, after its `pause` in seconds.

        ask: a client sends a request, and the server receives it; `held`: lookups block until `release`. leave:
        the client disconnects. go: the engine takes a step; fail: the step fails. load: the model is reloaded.
        """
        await asyncio.sleep(step.get("pause", 0.0))
        match step["do"]:
            case "ask":
                if step.get("held") and self.index:
                    self.index.hold()
                before = self._begun
                asked = self.asked[step["who"]] = QueuedRequest(self.client, step)
                while self._begun == before and not asked.ended:  # until the server receives it
                    await asyncio.sleep(0.0005)
            case "go":
                self.engine.go()
            case "leave":
                await self.asked[step["who"]].leave()
            case "fail":
                self.engine.fail_step(step["reason"], step.get("after", 0.0), held=step.get("held", False))
            case "release":
                self.engine.release_load()
                if self.index:
                    self.index.release()
            case "load":
                self.pilot.start()
            case "stop":
                await asyncio.to_thread(self.pilot.stop)
            case "wait":
                pass
            case other:
                raise AssertionError(other)

    @property
    def _begun(self) -> int:
        return self.pilot.completer.counters["requests"]

    def near(self) -> State:
        """Return the state that is visible without requests."""
        near = {
            "engine": self.engine.at,
            "frames": {who: len(one.frames) for who, one in self.asked.items()},
            "closed": {who: one.ended for who, one in self.asked.items() if one.ended},
        }
        if self.engine.loads > 1:
            near["loads"] = self.engine.loads
        if self.index:
            near["looking"] = self.index.looking
        return near if self.pilot.worker.state.ready else near | {"ready": False}

    async def seen(self) -> State:
        """Return the whole state; check the local part twice, so that it did not change meanwhile."""
        near = self.near()
        reported = (await self.client.get("/metrics")).text
        ends = Counter[str]()
        for code, outcome, route, count in _COUNT.findall(reported):
            ends[f"{route} {code or outcome}"] += int(count)
        waiting = _WAITING.search(reported)
        still = near == self.near()
        return (
            near
            | {"ends": dict(ends), "waiting": int(waiting[1]) if waiting else None}
            | ({} if still else {"moves": 1})
        )

    async def reaches(self, wanted: State) -> State:
        """Wait until the state is the recorded one, or for the timeout; return the state."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            near = self.near()
            if near == {name: wanted.get(name) for name in near} and (seen := await self.seen()) == wanted:
                return seen
            await asyncio.sleep(0.0005)
        return await self.seen()

    def outcome(self, asked: list[str] | None) -> dict[str, Any]:
        """Return the results of all requests, and these fields of the asks."""
        return {
            "requests": {who: {"status": o.status, "frames": o.frames} for who, o in self.asked.items()},
            "prompts": self.engine.prompts,
            **({"asked": self.engine.asked(asked)} if asked else {}),
        }


@asynccontextmanager
async def playing(script: dict[str, Any], model: Path) -> AsyncIterator[Play]:
    """Start a server for a script.

    `people`: a header of each request names its user. `kernels`: the context of each kernel. `index`: the
    notebook index, with `patience`: the seconds that a request waits for a lookup. `limits`: those of the
    queue. `text_seconds`: the deadline of texts for other protocols.
    """
    with patch.object(suggestion_plan, "HOLD", math.inf):  # the steps take any time
        async with _serving(script, model) as play:
            yield play


@asynccontextmanager
async def _serving(script: dict[str, Any], model: Path) -> AsyncIterator[Play]:
    engine = SteppedEngine(script)
    index = SteppedIndex(script["index"]) if "index" in script else None
    kernels = script.get("kernels", {})
    settings = {"yield_cpu": False, "keep_sequences": False, "deadline": 100.0} | script.get("settings", {})
    pilot = pilot_with(
        Turbopilot(model=str(model), **settings),
        engine.load,
        kernels=SimpleNamespace(
            kernel_context=lambda name: read_kernel_context(kernels[name]), close=lambda: None
        ),
    )
    pilot.notebook_index = index  # type: ignore[assignment]
    app = application(pilot, MetricsForAll() if script.get("people") else KeyIdentity(KEY, "127.0.0.1"))
    vars(pilot.worker.limits).update({"running": 0, "waiting": 0} | script.get("limits", {}))
    app.settings["session_manager"] = SimpleNamespace(
        get_session=lambda **_: {"path": "a.ipynb"},
        list_sessions=lambda: [{"path": "a.ipynb", "kernel": {"id": name}} for name in kernels],
    )
    server = HTTPServer(app)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    pilot.start()
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    headers = {"Authorization": f"Bearer {KEY}", "X-Who": "admin"}
    limits = httpx.Limits(max_connections=None)
    unused = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # creating the default one takes longer than a script
    patience = script.get("index", {}).get("patience", PATIENCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw_plan, "TEXT_FACTOR", script.get("text_seconds", 120.0) / settings["deadline"])
        patch.setattr(completer, "INDEX_TIMEOUT", patience)
        patch.setattr(lookups, "SLOW", patience)
        patch.setattr(completer, "lookups", lookups.LookupThread())
        async with httpx.AsyncClient(
            base_url=url, headers=headers, trust_env=False, timeout=30, limits=limits, verify=unused
        ) as client:
            play = Play(client, pilot, engine, index)
            try:
                while not pilot.worker.state.ready:
                    await asyncio.sleep(0.002)
                yield play
            finally:
                for one in play.asked.values():
                    await one.leave()
                server.stop()
                await server.close_all_connections()
                engine.release_load()
                await asyncio.to_thread(pilot.stop)


async def replay(script: dict[str, Any], model: Path) -> None:
    async with playing(script, model) as play:
        for number, step in enumerate(script["steps"]):
            await play.do(step)
            seen = await play.reaches(step["seen"])
            assert seen == step["seen"], f"after step {number}: {step['do']} {step.get('who', '')}"
        assert play.outcome(script.get("asked")) == script["outcome"]


@pytest.mark.parametrize("script", SCRIPTS, ids=[script["name"] for script in SCRIPTS])
def test_it_ends_as_recorded(script: dict[str, Any], tiny_model: Path) -> None:
    asyncio.run(replay(script, tiny_model))


# Recording ------------------------------------------------------------------------------------------------


async def record(script: dict[str, Any], model: Path) -> dict[str, Any]:
    """Run a script, and record each final state; `rest` becomes the necessary number of steps."""
    steps: list[dict[str, Any]] = []
    async with playing(script, model) as play:
        before = await play.seen()
        for step in _written(script["steps"]):
            while not step.get("rest") or before["engine"] is not None:
                await play.do(step)
                before = await _settled(play, before)
                steps.append({k: v for k, v in step.items() if k not in {"seen", "rest"}} | {"seen": before})
                if not step.get("rest"):
                    break
        return {k: v for k, v in script.items() if k not in {"steps", "outcome"}} | {
            "steps": steps,
            "outcome": play.outcome(script.get("asked")),
        }


def _written(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Remove the steps at the end that were recorded for `rest`: their number may change."""
    last = max(number for number, step in enumerate(steps) if step["do"] != "go")
    yield from steps[: last + 1]
    if last + 1 < len(steps):
        yield {"do": "go", "rest": True}


async def _settled(play: Play, before: State) -> State:
    """Wait until the state changes, and then until it no longer changes."""
    end, seen, since = time.monotonic() + PATIENCE, before, time.monotonic()
    while seen == before or time.monotonic() < since + STILL:
        assert time.monotonic() < end, f"The state does not change: {seen}"
        now = await play.seen()
        if now != seen or "moves" in now:
            seen, since = now, time.monotonic()
        await asyncio.sleep(0.002)
    return seen


def _worded(scripts: list[dict[str, Any]], dump: Callable[[Any], str]) -> str:
    """Write the scripts with a line for each step and request, so that diffs are readable."""
    found = []
    for script in scripts:
        head = [f"{dump(k)}: {dump(v)}" for k, v in script.items() if k not in {"steps", "outcome"}]
        steps = ",\n   ".join(map(dump, script["steps"]))
        outcome = script.get("outcome", {"requests": {}, "prompts": []})  # a new script has none yet
        frames = [
            f'{dump(who)}: {{"status": {one["status"]}, "frames": [\n     '
            + ",\n     ".join(map(dump, one["frames"]))
            + "]}"
            for who, one in outcome["requests"].items()
        ]
        more = {name: outcome[name] for name in ("prompts", "asked") if name in outcome}
        reported = ",\n    ".join(
            f"{dump(name)}: [\n     " + ",\n     ".join(map(dump, lines)) + "]"
            for name, lines in more.items()
        )
        requests = ",\n    ".join(frames)
        found.append(
            "{"
            + ",\n  ".join(head)
            + f',\n  "steps": [\n   {steps}],\n  "outcome": {{"requests": {{\n    {requests}}},'
            f"\n    {reported}}}}}"
        )
    return "[\n" + ",\n".join(found) + "\n]\n"


def main() -> None:
    """Record the scripts."""
    words = " ".join(sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        model = write_tiny_model(Path(folder) / "tiny.gguf")
        recorded = []
        for script in SCRIPTS:
            again = words in script["name"]
            if again:
                print(script["name"], flush=True)
            recorded.append(asyncio.run(record(script, model)) if again else script)
    RECORD.write_text(_worded(recorded, lambda value: json.dumps(value, ensure_ascii=False)), "utf-8")


if __name__ == "__main__":
    main()
