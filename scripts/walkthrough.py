"""Trace two keystrokes through the real server, and write the trace into docs/developers/architecture.md.

    python scripts/walkthrough.py [--print]

Uses the default model and an index of one notebook. The arguments and results of each step are recorded at
runtime with their thread. A second run counts the files and functions that one keystroke enters.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing, suppress
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from jupyter_turbopilot.completer import completer as completer_module
from jupyter_turbopilot.completer.completion_job import CompletionJob
from jupyter_turbopilot.completer.text_generation import TextGeneration
from jupyter_turbopilot.engine.job import Generation
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.index import paths
from jupyter_turbopilot.index.local_files import LocalFiles
from jupyter_turbopilot.index.reader import MaintainedIndex
from jupyter_turbopilot.jupyter.identity import KeyIdentity
from jupyter_turbopilot.jupyter.standalone import application
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.in_process import InProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from jupyter_turbopilot.completer.plan import Matches, Plan
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.job import Steps
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token
    from jupyter_turbopilot.protocol.reply import Reply

PAGE = Path(__file__).parents[1] / "docs" / "developers" / "architecture.md"
BEGIN, END = "<!-- walk-through: scripts/walkthrough.py -->\n", "<!-- end of the walk-through -->"
ABOVE = "import pandas as pd\n\npenguins = pd.read_csv('penguins.csv')\npenguins.head()"
INDEXED = (ABOVE, "penguins.groupby('species')['body_mass'].mean()")
TYPED = ("masses = penguins.gr", "masses = penguins.gro")  # the second before the first is answered
WIDTH = 110
KEY = "walkthrough"
PACKAGE = "jupyter_turbopilot/"
# The modules that carry a request; the others only compute for them.
CARRIERS = re.compile(r"(completer|jupyter/routes|engine)/\w+\.py|util/lookups\.py")


class Trace:
    """The steps in order, with their thread and the milliseconds since the first keystroke."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, str, str, str]] = []
        self.begun = time.perf_counter()
        self.fed = threading.Event()  # set when a job has received tokens

    def note(self, step: str, value: str) -> None:
        """Record a step."""
        ms = (time.perf_counter() - self.begun) * 1000
        self.rows.append((ms, threading.current_thread().name, step, value))
        if value.startswith("receives"):
            self.fed.set()

    def around(self, owner: Any, name: str, step: str, describe: Callable[..., str | None]) -> Any:
        """Replace a function by one that records its arguments and result."""
        original = getattr(owner, name)

        @wraps(original)
        def traced(*arguments: Any, **more: Any) -> Any:
            result = original(*arguments, **more)
            if value := describe(result, *arguments):
                self.note(step, value)
            return result

        return patch.object(owner, name, traced)

    def table(self) -> str:
        """Return the steps as a table."""
        rows = [f"| {ms:.1f} | {thread} | {step} | {value} |" for ms, thread, step, value in self.rows]
        return "\n".join(["| ms | thread | step | values |", "| --- | --- | --- | --- |", *rows]) + "\n"


class Entered:
    """The functions of the package that are entered while `counts` is set. Create it before any thread."""

    def __init__(self) -> None:
        self.counts = False
        self.found: set[tuple[str, str, bool]] = set()  # file, name, whether another file calls it
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if self.counts and event == "call":
            _, inside, file = frame.f_code.co_filename.rpartition(PACKAGE)
            name = frame.f_code.co_name
            if inside and not name.startswith(("<", "__")):
                caller = frame.f_back.f_code.co_filename if frame.f_back else ""
                self.found.add((file, frame.f_code.co_qualname, caller != frame.f_code.co_filename))

    def table(self) -> str:
        """Return the numbers of files and functions as a table."""
        rows = ["| entered by one keystroke | files | functions |", "| --- | --- | --- |"]
        found = {one for one in self.found if not is_property(*one[:2])}
        steps = {one for one in found if one[2] and CARRIERS.fullmatch(one[0])}
        names = ("modules that carry the request: functions called from another module", "all modules")
        for name, chosen in zip(names, (steps, found), strict=True):
            functions = {(file, function) for file, function, _ in chosen}
            rows.append(f"| {name} | {len({file for file, _ in functions})} | {len(functions)} |")
        return "\n".join(rows) + "\n"


def is_property(file: str, name: str) -> bool:
    """Return whether a function of a file computes an attribute."""
    found: Any = sys.modules[f"{PACKAGE}{file.removesuffix('.py')}".replace("/", ".")]
    for part in name.split("."):
        found = vars(found).get(part)
        if not isinstance(found, type):
            break
    return isinstance(found, property | cached_property)


def code(value: object) -> str:
    """Format a value for a table cell."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
    text = text if len(text) <= WIDTH else f"{text[: WIDTH // 2]} … {text[-WIDTH // 2 :]}"
    return f"`{text.replace('|', chr(92) + '|')}`"


def planned(plan: Plan, *_: Any) -> str:
    """Describe a plan."""
    place = plan.cache_key.digest.hex()[:8]
    judgement, limits = getattr(plan, "judgement", None), plan.limits
    threshold = f"{judgement.threshold:.3f}" if judgement else "none"
    return (
        f"priority `{plan.priority.name.lower()}`, at most {limits.sampling.max_tokens} tokens, "
        f"deadline {limits.deadline:g} s, threshold {threshold}, cache key `{place}…`"
    )


def asked(ask: EngineRequest) -> str:
    """Describe a request to the engine."""
    begins = [way.decode("utf-8", "replace") for way in ask.sampling.beginning.candidates]
    must = f", has to begin with {code(begins[0])}" if begins else ""
    return f"{len(ask.prompt)} prompt tokens, a draft of {len(ask.hint)}{must}"


def fed(tokens: list[Token]) -> str:
    """Describe tokens."""
    written = ", ".join(
        f"{code(one.data.decode('utf-8', 'replace'))} {one.probability:.2f}" for one in tokens
    )
    return written or "the end of the text"


def frame(_: None, __: CompletionJob, reply: Reply) -> str:
    """Describe a frame."""
    shown = code(reply.items[0].text) if reply.items else "no text"
    score = f", score {reply.items[0].confidence:.2f}" if reply.items else ""
    how = (
        f"last, {reply.finish_reason or (reply.items[0].finish_reason if reply.items else 'hidden')}"
        if reply.done
        else "more"
    )
    return f"{shown}{score} ({how})"


def matched(whole: bool, _: CompletionJob, matches: Matches, __: str) -> str:
    """Describe index matches."""
    if not matches.settled:
        return "not all in time"
    line = code(matches.line.text) if matches.line else "none"
    return f"line {line}{', the answer' if whole else ''}"


def generating(trace: Trace) -> Any:
    """Trace the start of each job, and the tokens that it receives."""
    original, step = TextGeneration.generate, "`TextGeneration.generate`"

    def traced(generation: TextGeneration, engine: Engine) -> Steps:
        with closing(original(generation, engine)) as steps, suppress(StopIteration):
            older = generation.engine_request
            ask = next(steps)
            how = "continues the text" if ask is older else began(ask, generation.served)
            trace.note(step, f"begins: {how}")
            while True:
                tokens = yield ask
                trace.note(step, f"receives {fed(tokens)}")
                ask = steps.send(tokens)

    return patch.object(TextGeneration, "generate", traced)


def began(ask: EngineRequest, job: CompletionJob) -> str:
    """Describe the first request of a job to the engine."""
    return f"{asked(ask)}; before the cursor {code(job.plan.cache_key.tail[-40:])}"


def observed(trace: Trace) -> Iterator[Any]:
    """Trace each step."""
    yield trace.around(completer_module, "plan_suggestion", "`plan_suggestion`", planned)
    yield trace.around(CompletionJob, "take_matches", "`CompletionJob.take_matches`", matched)
    yield trace.around(Generation, "seat", "`Generation.seat`", lambda *_: "instead of the job before")
    yield trace.around(Worker, "submit", "`Worker.submit`", lambda *_: "in the queue")
    yield generating(trace)
    yield trace.around(CompletionJob, "publish", "`CompletionJob.publish`", frame)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--print", action="store_true", help="print the trace without changing the page")
    options = parser.parse_args()
    counted = Entered()
    run(counted)
    threading.setprofile(None)
    sys.setprofile(None)
    trace = Trace()
    run(trace)
    found = f"{trace.table()}\n{counted.table()}"
    if options.print:
        print(found)
        return
    page = PAGE.read_text("utf-8")
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    PAGE.write_text(pattern.sub(lambda _: f"{BEGIN}\n{found}\n{END}", page), "utf-8")


def run(observer: Trace | Entered) -> None:
    """Type in a notebook beside an indexed one."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(InProcess(Turbopilot(cache_file=""))) as local,
        patch.object(paths, "folder", lambda: Path(folder) / "indexes"),
    ):
        root = Path(folder) / "notebooks"
        root.mkdir()
        cells = [{"cell_type": "code", "metadata": {}, "source": source} for source in INDEXED]
        content = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
        (root / "iris.ipynb").write_text(json.dumps(content), "utf-8")
        with closing(MaintainedIndex(LocalFiles(root))) as local.pilot.notebook_index:
            local.pilot.notebook_index.builder.build_now()
            local.wait()
            asyncio.run(walk(local, observer))


async def walk(local: InProcess, observer: Trace | Entered) -> None:
    """Warm up the notebook, then type two keystrokes, or one that is counted."""
    server = HTTPServer(application(local.pilot, KeyIdentity(KEY, "127.0.0.1")))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/complete"
    client = AsyncHTTPClient()

    async def send(source: str, trigger: str) -> None:
        cells = [{"id": "1", "source": ABOVE}, {"id": "2", "source": source}]
        body = {"cells": cells, "active": 1, "offset": len(source), "path": "penguins.ipynb"}
        body |= {"trigger": trigger, "stream": True, "client": "tab"}
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        await client.fetch(address, method="POST", headers=headers, body=json.dumps(body))

    await send("", "warmup")
    if isinstance(observer, Entered):
        observer.counts = True
        await send(TYPED[0], "automatic")
        observer.counts = False
    else:
        with ExitStack() as patches:
            for one in observed(observer):
                patches.enter_context(one)
            observer.begun = time.perf_counter()
            first = asyncio.create_task(send(TYPED[0], "automatic"))
            observer.note("**key 1**", code(TYPED[0]))
            await asyncio.to_thread(observer.fed.wait)  # the second keystroke arrives before the answer
            observer.note("**key 2**", code(TYPED[1]))
            await asyncio.gather(first, send(TYPED[1], "automatic"))
    server.stop()


if __name__ == "__main__":
    main()
