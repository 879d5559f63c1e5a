"""Requests that overlap end as they were recorded: data/overlaps.json holds the scripts and what came of them.

Each script is played over HTTP against a server in this process, whose engine takes a step only when it is
told to: nothing depends on how fast the machine is. After each step of a script everything that can be seen
is compared with the record: what the engine is at, how requests ended, how many frames came.

Where answers are meant to change, `python -m tests.test_overlaps [WORDS]` records anew the scripts whose names
have these words in them, all of them without; the difference is for reading.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.server.identity import KeyIdentity
from jupyter_turbopilot.server.standalone import application

from .scripted_engine import ScriptedEngine, pilot_with
from .tiny_model import write_tiny_model

RECORD = Path(__file__).parent / "data" / "overlaps.json"
KEY = "overlaps"
SCRIPTS: list[dict[str, Any]] = json.loads(RECORD.read_text("utf-8"))
PATIENCE = 30.0  # seconds for what was recorded to come about
STILL = 0.08  # while recording: seconds in which nothing happens any more
_TIME = re.compile(r"id|created|system_fingerprint|generation_settings|\w+_ms|\w+_per_second")
_COUNT = re.compile(r'turbopilot_requests_total\{outcome="(\w+)",route="(\w+)"\} (\d+)')
_WAITING = re.compile(r"^turbopilot_queue (\d+)", re.MULTILINE)

State = dict[str, Any]


class SteppedEngine(ScriptedEngine):
    """Reads a prompt, and says a word of each text, when it is told to."""

    def __init__(self, answers: list[list[str]], probability: float) -> None:
        def answer(prompt: str) -> str:
            return next(text for part, text in answers if part in prompt)

        super().__init__(answer, probability=probability)
        self._told = threading.Semaphore(0)
        self._runs: Any = ()
        self._waits: Any = None  # what would cut the wait short

    def go(self) -> None:
        self._told.release()

    def step(self, runs: Any, attention: Any) -> None:
        self._runs = runs
        super().step(runs, attention)

    def _wait(self, seconds: float, cancel: Any) -> None:  # type: ignore[override]
        self._waits = cancel
        while not cancel.is_set() and not self._told.acquire(timeout=0.001):
            pass
        self._waits = None

    @property
    def at(self) -> list[list[int]] | None:
        """The number of each text that is to get its next word, and how many it has; -1: it is read first."""
        waits = self._waits
        if waits is None or waits.is_set():
            return None
        return [[r.number, -1 if r.words is None else r.ask.usage.predicted_tokens] for r in self._runs]


class Asked:
    """A request, and what came of it."""

    def __init__(self, client: httpx.AsyncClient, step: dict[str, Any]) -> None:
        self.status = 0
        self.frames: list[Any] = []
        self.ended = ""
        self._task = asyncio.create_task(self._ask(client, step))

    async def _ask(self, client: httpx.AsyncClient, step: dict[str, Any]) -> None:
        route, headers = step.get("route", "complete"), {"User-Agent": step.get("agent", "editor")}
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
    """Word a request; where a text is typed, as an editor of ours does."""
    more: dict[str, Any] = step.get("body", {})
    if "typed" not in step:
        return more
    cell = {"id": "cell", "source": step["typed"] + step.get("behind", "")}
    asked = {"cells": [cell], "offset": len(step["typed"]), "path": "a.ipynb", "client": "tab"}
    return asked | {"trigger": "invoke", "stream": True} | more


def _plain(line: str) -> Any:
    """Read a frame without what is never the same."""

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: told(one) for name, one in value.items() if not _TIME.fullmatch(name)}
        return [told(one) for one in value] if isinstance(value, list) else value

    return line if line == "[DONE]" else told(json.loads(line))


class Play:
    """A script being played."""

    def __init__(self, client: httpx.AsyncClient, engine: SteppedEngine) -> None:
        self.client = client
        self.engine = engine
        self.asked: dict[str, Asked] = {}

    async def do(self, step: dict[str, Any]) -> None:
        match step["do"]:
            case "ask":
                self.asked[step["who"]] = Asked(self.client, step)
            case "go":
                self.engine.go()
            case "leave":
                await self.asked[step["who"]].leave()
            case "wait":
                pass
            case other:
                raise AssertionError(other)

    def near(self) -> State:
        """Look at what can be seen without asking."""
        return {
            "engine": self.engine.at,
            "frames": {who: len(one.frames) for who, one in self.asked.items()},
            "closed": {who: one.ended for who, one in self.asked.items() if one.ended},
        }

    async def seen(self) -> State:
        """Look at everything that can be seen; at what is near once more, so that nothing happened meanwhile."""
        near = self.near()
        told = (await self.client.get("/metrics")).text
        ends = {f"{route} {outcome}": int(count) for outcome, route, count in _COUNT.findall(told)}
        waiting = _WAITING.search(told)
        still = near == self.near()
        return (
            near
            | {"ends": ends, "waiting": int(waiting[1]) if waiting else None}
            | ({} if still else {"moves": 1})
        )

    async def reaches(self, wanted: State) -> State:
        """Wait until what can be seen is what was recorded; return what it is, however that ends."""
        near = {name: wanted[name] for name in self.near()}
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.near() == near and (seen := await self.seen()) == wanted:
                return seen
            await asyncio.sleep(0.0005)
        return await self.seen()

    def outcome(self) -> dict[str, Any]:
        """Return what came of all requests."""
        return {
            "requests": {who: {"status": o.status, "frames": o.frames} for who, o in self.asked.items()},
            "prompts": self.engine.prompts,
        }


@asynccontextmanager
async def playing(script: dict[str, Any], model: Path) -> AsyncIterator[Play]:
    """Start a server for a script."""
    engine = SteppedEngine(script["answers"], script.get("probability", 0.99))
    settings = {"considerate": False, "keep_sequences": False, "deadline": 100.0} | script.get("settings", {})
    pilot = pilot_with(Turbopilot(model=str(model), **settings), lambda *_: engine)
    server = HTTPServer(application(pilot, KeyIdentity(KEY, "127.0.0.1")))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    pilot.start()
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    headers = {"Authorization": f"Bearer {KEY}"}
    limits = httpx.Limits(max_connections=None)
    unused = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # making the default one takes longer than a script
    async with httpx.AsyncClient(
        base_url=url, headers=headers, trust_env=False, timeout=30, limits=limits, verify=unused
    ) as client:
        try:
            while not (await client.get("/health")).json()["ready"]:
                await asyncio.sleep(0.002)
            play = Play(client, engine)
            yield play
        finally:
            for one in play.asked.values():
                await one.leave()
            server.stop()
            await server.close_all_connections()
            await asyncio.to_thread(pilot.stop)


async def replay(script: dict[str, Any], model: Path) -> None:
    async with playing(script, model) as play:
        for number, step in enumerate(script["steps"]):
            await play.do(step)
            seen = await play.reaches(step["seen"])
            assert seen == step["seen"], f"after step {number}: {step['do']} {step.get('who', '')}"
        assert play.outcome() == script["outcome"]


@pytest.mark.parametrize("script", SCRIPTS, ids=[script["name"] for script in SCRIPTS])
def test_it_ends_as_recorded(script: dict[str, Any], tiny_model: Path) -> None:
    asyncio.run(replay(script, tiny_model))


# Recording ------------------------------------------------------------------------------------------------


async def record(script: dict[str, Any], model: Path) -> dict[str, Any]:
    """Play a script, and note what is seen once nothing happens any more; `rest` becomes as many steps as it takes."""
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
            "outcome": play.outcome(),
        }


def _written(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Leave out the steps at the end that were recorded for as long as it took: it may take more now, or fewer."""
    last = max(number for number, step in enumerate(steps) if step["do"] != "go")
    yield from steps[: last + 1]
    if last + 1 < len(steps):
        yield {"do": "go", "rest": True}


async def _settled(play: Play, before: State) -> State:
    """Wait until something has happened that can be seen, and then until nothing does."""
    end, seen, since = time.monotonic() + PATIENCE, before, time.monotonic()
    while seen == before or time.monotonic() < since + STILL:
        assert time.monotonic() < end, f"Nothing happens: {seen}"
        now = await play.seen()
        if now != seen or "moves" in now:
            seen, since = now, time.monotonic()
        await asyncio.sleep(0.002)
    return seen


def _worded(scripts: list[dict[str, Any]], dump: Callable[[Any], str]) -> str:
    """Write the scripts with a line for each step and each request, so that a difference can be read."""
    found = []
    for script in scripts:
        head = [f"{dump(k)}: {dump(v)}" for k, v in script.items() if k not in {"steps", "outcome"}]
        steps = ",\n   ".join(map(dump, script["steps"]))
        outcome = script.get("outcome", {"requests": {}, "prompts": []})  # of a new one there is none yet
        frames = [
            f'{dump(who)}: {{"status": {one["status"]}, "frames": [\n     '
            + ",\n     ".join(map(dump, one["frames"]))
            + "]}"
            for who, one in outcome["requests"].items()
        ]
        prompts = ",\n     ".join(map(dump, outcome["prompts"]))
        requests = ",\n    ".join(frames)
        found.append(
            "{"
            + ",\n  ".join(head)
            + f',\n  "steps": [\n   {steps}],\n  "outcome": {{"requests": {{\n    {requests}}},'
            f'\n    "prompts": [\n     {prompts}]}}}}'
        )
    return "[\n" + ",\n".join(found) + "\n]\n"


def main() -> None:
    """Record anew."""
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
