"""Trace two keystrokes through the real completer, and write the trace into docs/developers/architecture.md.

    python scripts/walkthrough.py [--print]

Uses the default model and an index of one notebook. The arguments and results of each step are recorded at
runtime with their thread; nothing is written by hand.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import threading
import time
from contextlib import closing
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from jupyter_turbopilot.completer import completer as completer_module
from jupyter_turbopilot.completer.completion_job import CompletionJob
from jupyter_turbopilot.completer.editors import Editors
from jupyter_turbopilot.completer.reply_iterators import Replies
from jupyter_turbopilot.completer.reply_publisher import ReplyPublisher
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.index import paths
from jupyter_turbopilot.index.local_files import LocalFiles
from jupyter_turbopilot.index.reader import MaintainedIndex
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.in_process import InProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_turbopilot.completer.completer import Completer
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.completer.suggestion_plan import Matches
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token
    from jupyter_turbopilot.protocol.reply import Reply

PAGE = Path(__file__).parents[1] / "docs" / "developers" / "architecture.md"
BEGIN, END = "<!-- walk-through: scripts/walkthrough.py -->\n", "<!-- end of the walk-through -->"
ABOVE = "import pandas as pd\n\npenguins = pd.read_csv('penguins.csv')\npenguins.head()"
INDEXED = (ABOVE, "penguins.groupby('species')['body_mass'].mean()")
TYPED = ("masses = penguins.gr", "masses = penguins.gro")  # the second before the first is answered
WIDTH = 110


class Trace:
    """The steps in order, with their thread and the milliseconds since the first keystroke."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, str, str, str]] = []
        self.begun = time.perf_counter()

    def note(self, step: str, value: str) -> None:
        """Record a step."""
        ms = (time.perf_counter() - self.begun) * 1000
        self.rows.append((ms, threading.current_thread().name, step, value))

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


def code(value: object) -> str:
    """Format a value for a table cell."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
    text = text if len(text) <= WIDTH else f"{text[: WIDTH // 2]} … {text[-WIDTH // 2 :]}"
    return f"`{text.replace('|', chr(92) + '|')}`"


def planned(plan: Plan, *_: Any) -> str:
    """Describe a plan."""
    place = plan.cache_key.digest.hex()[:8]
    threshold = f"{plan.threshold:.3f}" if hasattr(plan, "threshold") else "none"
    return (
        f"priority `{plan.priority.name.lower()}`, at most {plan.sampling.max_tokens} tokens, "
        f"deadline {plan.deadline:g} s, threshold {threshold}, cache key `{place}…`"
    )


def asked(ask: EngineRequest | None) -> str:
    """Describe a request to the engine."""
    if ask is None:
        return "nothing more"
    begins = [way.decode("utf-8", "replace") for way in ask.sampling.beginning.candidates]
    must = f", has to begin with {code(begins[0])}" if begins else ""
    return f"{len(ask.prompt)} prompt tokens, a draft of {len(ask.hint)}{must}"


def fed(tokens: list[Token]) -> str:
    """Describe tokens."""
    written = ", ".join(
        f"{code(one.data.decode('utf-8', 'replace'))} {one.probability:.2f}" for one in tokens
    )
    return written or "end of the text"


def frame(_: None, __: ReplyPublisher, reply: Reply) -> str:
    """Describe a frame."""
    shown = code(reply.items[0].text) if reply.items else "no text"
    score = f", score {reply.items[0].confidence:.2f}" if reply.items else ""
    how = (
        f"last, {reply.finish_reason or (reply.items[0].finish_reason if reply.items else 'hidden')}"
        if reply.done
        else "more"
    )
    return f"{shown}{score} ({how})"


def entered(ended: CompletionJob | None, _: Editors, new: CompletionJob) -> str:
    """Describe the effect of a request on the previous one."""
    if new.older:
        return "takes over from the request before"
    return "supersedes the request before" if ended else "the editor's only request"


def offered(whole: bool, _: CompletionJob, matches: Matches | None, __: str) -> str:
    """Describe index matches."""
    if matches is None:
        return "nothing in time"
    line = code(matches.line.text) if matches.line else "none"
    return f"{len(matches.cells.documents)} cells, line {line}{', the answer' if whole else ''}"


def began(ask: EngineRequest | None, job: CompletionJob, *_: Any) -> str:
    """Describe the start of a job."""
    if job.text.ids:
        return f"continues the older text, of which {len(job.text.tokens)} tokens are left"
    return f"{asked(ask)}; before the cursor {code(job.plan.cache_key.tail[-40:])}"


def observed(trace: Trace) -> Iterator[Any]:
    """Trace each step."""
    yield trace.around(completer_module, "plan_suggestion", "`plan_suggestion`", planned)
    yield trace.around(Editors, "enter", "`Editors.enter`", entered)
    yield trace.around(CompletionJob, "offer", "`CompletionJob.offer`", offered)
    yield trace.around(Worker, "submit", "`Worker.submit`", lambda *_: "in the queue")
    yield trace.around(CompletionJob, "begin", "`CompletionJob.begin`", began)
    yield trace.around(CompletionJob, "feed", "`CompletionJob.feed`", lambda _, __, tokens: fed(tokens))
    yield trace.around(ReplyPublisher, "publish", "`ReplyPublisher.publish`", frame)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--print", action="store_true", help="print the trace without changing the page")
    options = parser.parse_args()
    trace = Trace()
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(InProcess(Turbopilot(cache_file=""))) as local,
    ):
        root = Path(folder) / "notebooks"
        root.mkdir()
        cells = [{"cell_type": "code", "metadata": {}, "source": source} for source in INDEXED]
        content = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
        (root / "iris.ipynb").write_text(json.dumps(content), "utf-8")
        with patch.object(paths, "folder", lambda: Path(folder) / "indexes"):
            notebook_index = MaintainedIndex(LocalFiles(root))
            notebook_index.builder.build_now()
            local.wait()
            walk(local.pilot.completer, notebook_index, trace)
            notebook_index.close()
    if options.print:
        print(trace.table())
        return
    page = PAGE.read_text("utf-8")
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    PAGE.write_text(pattern.sub(lambda _: f"{BEGIN}\n{trace.table()}\n{END}", page), "utf-8")


def walk(completer: Completer, notebook_index: MaintainedIndex, trace: Trace) -> None:
    """Warm up the notebook, then type two keystrokes."""

    def request(source: str, trigger: str) -> Completion:
        cells = [Cell(id="1", source=ABOVE), Cell(id="2", source=source)]
        return Completion(
            cells=cells,
            active=1,
            offset=len(source),
            path="penguins.ipynb",
            trigger=trigger,  # type: ignore[arg-type]
            stream=True,
            client="tab",
        )

    warm = Replies()
    completer.submit(request("", "warmup"), warm.listen, notebook_index=notebook_index)
    warm.last()
    patches = [*observed(trace)]
    for one in patches:
        one.start()
    trace.begun = time.perf_counter()
    replies = []
    for number, source in enumerate(TYPED):
        trace.note(f"**key {number + 1}**", code(source))
        replies.append(Replies())
        job = completer.submit(
            request(source, "automatic"), replies[-1].listen, notebook_index=notebook_index
        )
        while number + 1 < len(TYPED) and not job.text.tokens:
            time.sleep(0.001)  # send the next keystroke before the answer
    for one in replies:
        one.last()
    for one in patches:
        one.stop()


if __name__ == "__main__":
    main()
