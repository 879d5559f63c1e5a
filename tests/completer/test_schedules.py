"""Random schedules of keystrokes, cancellations, loads and steps keep the invariants of a request.

The test triggers each step of the engine, so results do not depend on time.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from operator import eq
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from jupyter_turbopilot.completer.cache.completion_cache import CompletionCache
from jupyter_turbopilot.completer.completer import Completer
from jupyter_turbopilot.completer.plan import Admission
from jupyter_turbopilot.completer.tenant import salted, session_of
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.job import DEADLINE, DISCONNECTED
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.engine.scheduler import QueueLimits
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.protocol.engine_request import EngineRequest, RawRequest, Sampling
from jupyter_turbopilot.protocol.errors import BusyError, TurbopilotError
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.settings.config import Turbopilot

from ..index.fake_index import FakeIndex
from ..scripted_engine import ScriptedRun
from ..stepped_engine import SteppedEngine
from ..waiting import SECONDS, until

CELLS = ("one", "two")
WRONG = "z"  # no text contains it
NOT_AWAITED = {"prefetch", "warmup"}


def text_of(label: str, cell: str, model: int) -> str:
    """Return the text of a cell. All begin with the same word, and the others name where they belong."""
    return " + ".join(["total", *(f"{label}_{cell}_{model}_{number}" for number in range(4))])


def continuation(text: str, typed: str) -> str:
    """Return the rest of a text after the end of the typed text that agrees with it."""
    most = min(len(text), len(typed))
    return text[next(size for size in range(most, -1, -1) if typed.endswith(text[:size])) :]


class EchoingEngine(SteppedEngine):
    """An engine with two slots, whose texts name the editor, the cell and the model.

    It evaluates the last token of a prompt, and those that it has not evaluated for the tenant.
    """

    def __init__(self, labels: dict[str, str]) -> None:
        super().__init__(slots=2)
        self.answer = self._continue
        self.model = 0
        self._labels = labels  # of sessions
        self._evaluated: list[tuple[str, list[int]]] = []  # prompts, with their tenants

    def _continue(self, prompt: str) -> str:
        label, cell, typed = re.findall(r"^(\w+)$(?:.|\n)*^(\w+) = ?(.*)\Z", prompt, re.MULTILINE)[-1]
        return continuation(text_of(label, cell, self.model), typed)

    def start(self, engine_request: EngineRequest) -> ScriptedRun | None:  # type: ignore[override]
        if run := super().start(engine_request):
            beginning = engine_request.sampling.beginning
            typed = b"".join(beginning.candidates[:1])[: beginning.typed].decode()
            before = run.text.split("<|fim_suffix|>")[0].removeprefix("<|fim_prefix|>")
            run.text = f"{self._labels[engine_request.session]}\n{before}{typed}"
            prompt, tenant = [*engine_request.prompt], engine_request.tenant
            cached = [shared(prompt, other) for owner, other in self._evaluated if owner == tenant]
            engine_request.usage.cached_tokens = min(max(cached, default=0), len(prompt) - 1)
            self._evaluated.append((tenant, prompt))
        return run

    def evaluated(self, session: str) -> int:
        """Return how many prompt tokens of a session it has evaluated."""
        asks = [ask for ask in self.asks if ask.session == session]
        return sum(ask.usage.prompt_tokens - ask.usage.cached_tokens for ask in asks)


def shared(one: list[int], other: list[int]) -> int:
    return sum(1 for _ in takewhile(bool, map(eq, one, other)))


@dataclass
class Sent:
    """A request and its replies."""

    text: str  # the rest of the loaded model's text after the cursor
    typed: str
    cell: str
    trigger: str
    indexed: bool = False
    disturbed: bool = False  # whether it may end without its text
    others: list[str] = field(default_factory=list)  # the same of models that were loaded later
    superseded: bool = False
    limit: int | None = None  # prompt tokens of the session that may be evaluated until its end
    after: str = ""  # the shown text that it continues
    error: TurbopilotError | None = None  # raised instead of a reply
    cancel: Cancel = field(default_factory=Cancel)
    replies: list[Reply] = field(default_factory=list)
    evaluated: int = 0  # prompt tokens of the session, at the last reply

    @property
    def is_open(self) -> bool:
        return not (self.error or any(reply.done for reply in self.replies))

    @property
    def yielded(self) -> bool:
        return any(reply.finish_reason == "yielded" for reply in self.replies)

    @property
    def shown(self) -> str:
        return next((reply.items[0].text for reply in reversed(self.replies) if reply.items), "")


@dataclass
class Editor:
    """A user's editor with a notebook of two cells."""

    label: str
    caller: str
    path: str
    cell: str = CELLS[0]
    typed: dict[str, str] = field(default_factory=lambda: dict.fromkeys(CELLS, ""))
    sequence: int = 1
    sent: list[Sent] = field(default_factory=list)

    @property
    def tenant(self) -> str:
        return f"tenant of {self.caller}"

    @property
    def session(self) -> str:
        if self.path == "program":
            return salted(self.path, self.tenant)
        return session_of(self.path, self.tenant)

    @property
    def open(self) -> list[Sent]:
        return [sent for sent in self.sent if sent.is_open]

    def text(self, model: int, sent: Sent | None = None) -> str:
        """Return the rest of a model's text after the cursor, or after that of a request."""
        cell, typed = (sent.cell, sent.typed) if sent else (self.cell, self.typed[self.cell])
        return continuation(text_of(self.label, cell, model), typed)

    def request(self, trigger: str, sequence: int) -> Completion:
        cells = [Cell(id=cell, source=f"{cell} = {typed}") for cell, typed in self.typed.items()]
        active = CELLS.index(self.cell)
        return Completion(
            cells=cells,
            active=active,
            offset=len(cells[active].source),
            path=self.path,
            client=self.label,
            trigger=trigger,  # type: ignore[arg-type]
            stream=True,
            sequence=sequence,
        )


EDITORS, ALL = st.integers(0, 2), st.integers(0, 4)


class Schedules(RuleBasedStateMachine):
    @initialize(
        idle=st.sampled_from([0.0, 1e-6]),
        limits=st.sampled_from([QueueLimits(), QueueLimits(2), QueueLimits(4, 1, 2)]),
    )
    def start(self, idle: float, limits: QueueLimits) -> None:
        self.editors = [
            Editor("ann", "ann", "a.ipynb"),
            Editor("bob", "bob", "a.ipynb"),
            Editor("cat", "ann", "b.ipynb"),
            # Other programs.
            Editor("dan", "ann", "program"),
            Editor("eve", "bob", "program"),
        ]
        self.engine = EchoingEngine({editor.session: editor.label for editor in self.editors})
        self.worker = Worker(limits, idle=idle)
        self.unloads = bool(idle)
        self.completer = Completer(self.worker, Turbopilot(deadline=600.0), CompletionCache(1 << 24))
        self.may_look_up = threading.Event()
        self.may_look_up.set()
        self.index = FakeIndex({}, self.may_look_up.wait)  # type: ignore[arg-type]
        self.may_load = True
        self.model = 0
        self.load()

    def teardown(self) -> None:
        try:
            self.may_look_up.set()
            self.release_load()
            while self.open:
                self.settle()
                self.step(1)
            # A look-up answers a request before its generation ends.
            until(lambda: self.worker.waiting == 0)
            until(lambda: self.engine.released == len(self.engine.asks))
        finally:
            self.engine.release_load()
            self.worker.stop()
        for editor in self.editors:
            for sent in editor.sent:
                self.check(sent)

    # The schedule ---------------------------------------------------------------------------------------------

    @rule(
        at=EDITORS,
        key=st.sampled_from(["agrees"] * 5 + ["differs", "deletes", "clears"] + ["none", "other cell"] * 2),
        trigger=st.sampled_from(["invoke"] * 4 + ["automatic"] * 4 + ["prefetch", "warmup"]),
        indexed=st.booleans(),
        level=st.sampled_from([Level.NONE] * 4 + [Level.SHORT_SUGGESTIONS, Level.REFUSE_BUSIEST]),
    )
    def key(self, at: int, key: str, trigger: str, indexed: bool, level: Level) -> None:
        editor = self.editors[at]
        typed, text = editor.typed[editor.cell], editor.text(self.model)
        match key:
            case "agrees":
                editor.typed[editor.cell] += text[:1] or WRONG
            case "differs":
                editor.typed[editor.cell] += WRONG
            case "deletes":
                editor.typed[editor.cell] = typed[:-1]
            case "clears":
                editor.typed[editor.cell] = ""
            case "other cell":
                editor.cell = CELLS[not CELLS.index(editor.cell)]
        open_before = editor.open
        sent = self.sent_by(editor, trigger)
        sent.indexed = indexed
        # Prefetching yields, and a busy server shortens or refuses automatic requests.
        sent.disturbed |= trigger in NOT_AWAITED or (trigger == "automatic" and level > Level.NONE)
        older = next((other for other in open_before if self.is_continued(other, sent)), None)
        if older:
            sent.limit = self.engine.evaluated(editor.session) if older.limit is None else older.limit
            sent.after = older.shown[len(sent.typed) - len(older.typed) :]
        editor.sequence += 1
        request = editor.request(trigger, editor.sequence)
        notebook_index = self.index if indexed else None
        self.submit(editor, sent, request, notebook_index=notebook_index, level=level)
        if not sent.yielded:
            for other in open_before:
                other.disturbed = other.superseded = True
        self.settle()

    @rule(
        at=EDITORS,
        key=st.sampled_from(["agrees", "differs", "clears", "other cell"]),
        trigger=st.sampled_from(["invoke", "automatic"]),
        steps=st.lists(st.integers(0, 4), min_size=1, max_size=6),
        indexed=st.booleans(),
    )
    def type_text(self, at: int, key: str, trigger: str, steps: list[int], indexed: bool) -> None:
        """The user types the text that the engine generates, after another keystroke."""
        for number, count in enumerate(steps):
            self.key(at, "agrees" if number else key, trigger, indexed, Level.NONE)
            self.step(count)

    @rule(at=EDITORS)
    def late_key(self, at: int) -> None:
        """A request arrives after its successor."""
        editor = self.editors[at]
        if not (older := editor.open):
            return
        sent = self.sent_by(editor, "invoke")
        sent.disturbed = True
        self.submit(editor, sent, editor.request("invoke", 1))
        self.wait(lambda: not (sent.is_open and any(other.is_open for other in older)))
        self.settle()

    @rule(at=st.integers(3, 4), n=st.sampled_from([1, 2]))
    def text(self, at: int, n: int) -> None:
        """Another program requests a text."""
        program = self.editors[at]
        sent = self.sent_by(program, "invoke")
        sampling = Sampling(max_tokens=20)
        request = RawRequest("one = ", sampling=sampling, n=n, session=program.path, stream=True)
        self.submit(program, sent, request)
        self.settle()

    @rule(at=ALL, reason=st.sampled_from([DISCONNECTED, DEADLINE]))
    def cancel(self, at: int, reason: str) -> None:
        """Cancelled requests end without a step."""
        for sent in self.editors[at].open:
            sent.disturbed = True
            sent.cancel.set(reason)
            self.wait(lambda sent=sent: not sent.is_open)  # type: ignore[misc]
        self.settle()

    @rule(count=st.integers(1, 8))
    def step(self, count: int) -> None:
        for _ in range(count):
            superseded = [sent for sent in self.open if sent.superseded]
            if self.engine.may_go:
                self.engine.go()
                self.wait(lambda: not any(sent.is_open for sent in superseded))  # noqa: B023
                self.settle()

    @rule(
        what=st.sampled_from(
            ["fail", "load", "hold load", "release load", "hold look-ups", "release look-ups"]
        )
    )
    def change(self, what: str) -> None:
        match what:
            case "fail" if self.engine.may_go:
                self.disturb()
                self.engine.refuse()
            case "load":
                self.load()
            case "hold load":
                self.may_load = False
                self.engine.hold_load()
            case "release load":
                self.release_load()
            case "hold look-ups":
                self.may_look_up.clear()
            case "release look-ups":
                self.may_look_up.set()
        self.settle()

    # The invariants -------------------------------------------------------------------------------------------

    @invariant()
    def runs_only_for_open_requests(self) -> None:
        until(lambda: len(self.engine.seated) <= len(self.open))

    @invariant()
    def keeps_evaluated_tokens(self) -> None:
        assert self.engine.kept or not self.engine.closed

    def check(self, sent: Sent) -> None:
        """Check the replies to a request that has ended."""
        shown = [sent.after, "", ""]
        for item in (item for reply in sent.replies for item in reply.items):
            assert item.text.startswith(shown[item.index])
            assert any(text.startswith(item.text) for text in (sent.text, *sent.others))
            shown[item.index] = item.text
        assert not any(reply.done for reply in sent.replies[:-1])
        # An exception is a reply, too.
        assert sum(reply.done for reply in sent.replies) + bool(sent.error) == 1
        error = sent.error or sent.replies[-1].error
        if sent.disturbed:
            return
        if isinstance(error, BusyError) and sent.limit is None:
            return  # a request that continues a text does not count
        assert error is None
        # The gate may hide an automatic text, and generate it again if the cursor is within a token.
        if sent.trigger == "invoke":
            assert sent.shown == sent.text
            assert sent.limit in {None, sent.evaluated}

    # Helpers --------------------------------------------------------------------------------------------------

    @property
    def open(self) -> list[Sent]:
        return [sent for editor in self.editors for sent in editor.open]

    def disturb(self) -> None:
        """Let all requests end without their texts, or begin anew."""
        for sent in self.open:
            sent.disturbed, sent.after = True, ""

    def load(self) -> None:
        """Load another model."""
        self.disturb()
        self.model, self.accepts = self.model + 1, False
        for editor in self.editors:
            for sent in editor.open:  # its look-up may end after the load
                sent.others.append(editor.text(self.model, sent))
        self.worker.load("scripted", partial(self.load_model, self.model))
        if self.may_load:
            self.release_load()

    def release_load(self) -> None:
        self.may_load = True
        self.engine.release_load()
        until(lambda: self.worker.state.ready)
        self.accepts = True
        self.settle()

    def load_model(self, model: int, cancel: Cancel) -> EchoingEngine:
        self.engine.load(cancel)
        self.engine.model, self.engine.identity = model, f"model {model}"
        self.completer.use_cache_of(self.engine)
        return self.engine

    def sent_by(self, editor: Editor, trigger: str) -> Sent:
        text, typed = editor.text(self.model), editor.typed[editor.cell]
        return Sent(text, typed, editor.cell, trigger, disturbed=not self.accepts)

    @staticmethod
    def is_continued(older: Sent, newer: Sent) -> bool:
        """Return whether a request differs from one with text only in typed text, which agrees with it."""
        return bool(
            not (older.disturbed or newer.disturbed)
            and (older.cell, older.trigger, older.indexed) == (newer.cell, newer.trigger, newer.indexed)
            and newer.typed.startswith(older.typed)
            and older.text == newer.typed[len(older.typed) :] + newer.text
            and (older.shown or older.limit is not None)
        )

    def submit(self, editor: Editor, sent: Sent, request: Completion | RawRequest, **more: Any) -> None:
        def listen(reply: Reply) -> None:
            with self.engine.changed:
                sent.replies.append(reply)
                sent.evaluated = self.engine.evaluated(editor.session)
                self.engine.changed.notify_all()

        editor.sent.append(sent)
        try:
            admission = Admission(caller=editor.caller, tenant=editor.tenant, **more)
            job = self.completer.submit(request, listen, admission)
            sent.cancel = job.cancel
        except TurbopilotError as error:
            sent.error = error

    def wait(self, done: Callable[[], object]) -> None:
        with self.engine.changed:
            assert self.engine.changed.wait_for(done, SECONDS)

    def settle(self) -> None:
        """Wait until nothing happens before the next action."""

        def is_idle() -> bool:
            return not self.open and not (self.unloads and self.engine.in_use)

        self.wait(lambda: self.engine.is_blocked or is_idle())


TestSchedules = Schedules.TestCase
TestSchedules.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
