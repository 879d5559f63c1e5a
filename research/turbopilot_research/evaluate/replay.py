"""Replay notebooks through the completer, keystroke by keystroke or in real time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.analysis.kernel_context import NONE
from jupyter_turbopilot.analysis.syntax import judged
from jupyter_turbopilot.completer.reply_iterators import Replies
from jupyter_turbopilot.protocol.errors import BusyError, TurbopilotError
from turbopilot_research.evaluate.live import ResolvedNames
from turbopilot_research.evaluate.scoring import Score, Tally

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.protocol.request import Completion
    from jupyter_turbopilot.terminal.in_process import InProcess
    from turbopilot_research.evaluate.live import Live
    from turbopilot_research.evaluate.sources import Source
    from turbopilot_research.evaluate.traces import Keystroke, Trace

_FLICKER = 0.3  # seconds: a text that is visible for less time flickers
SPREAD = 0.5  # sigma of the log-normal distribution of keystroke intervals
SEED = 3

Rhythm = Callable[["Keystroke"], float]  # draws the seconds until the next keystroke


@dataclass
class Pace:
    """The outcomes of requests in real time."""

    asked: int = 0
    unanswered: int = 0  # before the next keystroke
    refused: int = 0  # because the server was busy, or with another error
    continued: int = 0  # continued a running generation
    ended: int = 0  # restarted although the running generation confirmed with the keystroke
    cpu: float | None = None  # CPU seconds, if they are known


@dataclass
class TypingResult:
    """The results of replaying notebooks."""

    notebooks: dict[str, Tally] = field(default_factory=dict)
    kinds: dict[str, Tally] = field(default_factory=dict)
    ms: list[float] = field(default_factory=list)
    invalid: int = 0  # shown suggestions after which the cell cannot become valid code
    # Names in shown suggestions, checked in a live kernel.
    names: ResolvedNames = field(default_factory=ResolvedNames)
    pace: Pace | None = None
    waits: list[float] = field(default_factory=list)  # seconds from the requests at pauses to their answers

    @property
    def total(self) -> Tally:
        """The sum over all notebooks."""
        return sum(self.notebooks.values(), start=Tally())

    def add(self, name: str, score: Score) -> None:
        """Add the score of one trace."""
        self.notebooks[name] = self.notebooks.get(name, Tally()) + score.total
        for kind, tally in score.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, Tally()) + tally


def by_keystrokes(
    source: InProcess | Source, traces: Iterable[Trace], tell: Callable[[str], None]
) -> TypingResult:
    """Replay traces, waiting for every suggestion."""
    typed = TypingResult()
    for trace in traces:
        replay_trace(source, trace, typed)
        tell(trace.name)
    return typed


def with_kernel(
    local: InProcess,
    traces: Iterable[Trace],
    tell: Callable[[str], None],
    live: Live,
) -> tuple[TypingResult, TypingResult]:
    """Replay each trace twice after running the cells above: with and without kernel context."""
    knowing, unaware = TypingResult(), TypingResult()
    for trace in traces:
        kernel_context = live.kernel_context(trace)
        replay_trace(local, trace, knowing, kernel_context, live)
        replay_trace(local, trace, unaware, NONE, live)
        tell(trace.name)
    return knowing, unaware


def replay_trace(
    source: InProcess | Source,
    trace: Trace,
    typed: TypingResult,
    kernel_context: KernelContext = NONE,
    live: Live | None = None,
) -> None:
    """Replay one trace and count the outcomes."""
    score = Score()
    for keystroke in trace.keystrokes:
        if keystroke.place < score.covered(keystroke.active):
            continue
        request = keystroke.request(ran=live is not None, trigger="automatic", client="typist")
        begun = time.perf_counter()
        reply = source.last(request, kernel_context)
        typed.ms.append((time.perf_counter() - begun) * 1000)
        score.show_at(keystroke, reply.items[0].shown if reply.items else "")
    finish(typed, trace, score, live)


class _OpenRequest:
    """An open request of the editor: typing along with its suggestion sends no new request."""

    def __init__(
        self, source: Source, keystroke: Keystroke, kernel_context: KernelContext, *, ran: bool
    ) -> None:
        self._source = source
        self.keystroke = keystroke
        self._kernel_context, self._ran = kernel_context, ran
        self._replies = Replies()
        self._begun = time.perf_counter()
        self.text = ""
        self.ms = 0.0  # latency of the first text
        self.shown_at = 0.0
        self.changes = self.reversals = 0  # of the visible text, other than by typing
        self.done = self.refused = False
        self.answered_at: float | None = None  # an empty suggestion is an answer, too
        try:
            self._submit(keystroke, self._replies.listen, trigger="automatic", stream=True)
        except BusyError:
            self.done = self.refused = True

    def rest(self, keystroke: Keystroke) -> str:
        """Return the rest of the suggestion at a later keystroke."""
        before, now = (at.cells[at.active][: at.offset] for at in (self.keystroke, keystroke))
        if keystroke.active != self.keystroke.active or not now.startswith(before):
            return ""
        typed = now[len(before) :]
        return self.text[len(typed) :] if self.text.startswith(typed) else ""

    def flickered(self, now: float, score: Score) -> bool:
        """Return whether the text was visible for less than `_FLICKER` and was not accepted."""
        accepted = score.covered(self.keystroke.active) > self.keystroke.place
        return bool(self.text) and not accepted and now - self.shown_at < _FLICKER

    def wait(self, end: float) -> None:
        """Receive replies until `end`; prefetch the completion after the final one."""
        while not self.done:
            reply = self._replies.within(max(0.001, end - time.perf_counter()))
            if reply is None:
                return
            text = reply.items[0].shown if reply.items else self.text
            if text and not self.text:
                self.shown_at = time.perf_counter()
                self.ms = (self.shown_at - self._begun) * 1000
            self.changes += bool(self.text and text != self.text)
            self.reversals += not text.startswith(self.text)
            self.refused = reply.error is not None
            self.text = text
            self.done = reply.done
            if self.answered_at is None and (reply.items or not (reply.error or reply.finish_reason)):
                self.answered_at = time.perf_counter()
            if reply.done and self.text:
                self._submit(self.keystroke.accepting(self.text), lambda _: None, trigger="prefetch")

    def _submit(self, keystroke: Keystroke, listener: Listener, **more: Any) -> None:
        request = keystroke.request(ran=self._ran, client="typist", **more)
        self._source.submit(request, listener, self._kernel_context)


def steady(key: float, seed: int = SEED) -> Rhythm:
    """Return a function that draws the seconds until the next keystroke, on average `key`."""
    rng = random.Random(seed)  # noqa: S311 - a reproducible pace
    return lambda _: key * rng.lognormvariate(-SPREAD * SPREAD / 2, SPREAD)


def in_real_time(
    source: Source,
    traces: Iterable[Trace],
    tell: Callable[[str], None],
    rhythm: Rhythm,
    *,
    pause: float = 0.0,
    live: Live | None = None,
    typed: TypingResult | None = None,
) -> TypingResult:
    """Replay in real time: a suggestion counts only if it is shown before the next keystroke.

    The traces contain a keystroke for each character. As in the editor, a keystroke sends a request unless it
    types along with the suggestion, and the source decides what happens to earlier requests. `pause`: the
    seconds that one of several users looks at the screen at the beginning of each line. A single user waits
    for the warm-up of a cell. `live` runs each cell after it was typed. `typed`: earlier results to add to.
    """
    typed = typed or TypingResult()
    pace = typed.pace = typed.pace or Pace()
    before = source.usage()
    for trace in traces:
        score, request = Score(), None
        kernel_context = live.run_while_typing(trace) if live else lambda: NONE
        focus = focus_of(trace, ran=live is not None)
        if pause:
            source.submit(focus, lambda _: None)
        else:
            with suppress(TurbopilotError):  # a server may fail now and answer later
                source.last(focus, kernel_context())
        for keystroke in trace.keystrokes:
            if keystroke.place < score.covered(keystroke.active):
                continue
            begun_at = time.perf_counter()
            end = begun_at + rhythm(keystroke)
            if is_pause := pause > 0 and keystroke.cells[keystroke.active][: keystroke.offset].endswith("\n"):
                end += pause
            if not request or not request.rest(keystroke):
                score.total.flickered += bool(request and request.flickered(begun_at, score))
                request = _OpenRequest(source, keystroke, kernel_context(), ran=live is not None)
                pace.asked += 1
            was_shown, changes, reversals = bool(request.text), request.changes, request.reversals
            request.wait(end)
            pace.refused += request.refused
            request.refused = False
            if is_pause and request.keystroke is keystroke:
                typed.waits.append((request.answered_at or end) - begun_at)
            pace.unanswered += request.keystroke is keystroke and not request.done
            if request.text and not was_shown:
                typed.ms.append(request.ms)
            score.total.grown += request.changes - changes
            score.total.reversed += request.reversals - reversals
            score.show_at(keystroke, request.rest(keystroke))
            time.sleep(max(0.0, end - time.perf_counter()))
        finish(typed, trace, score, live)
        tell(trace.name)
    after = source.usage()
    pace.continued += after.continued - before.continued
    pace.ended += after.ended - before.ended
    if before.cpu is not None and after.cpu is not None:
        pace.cpu = (pace.cpu or 0.0) + after.cpu - before.cpu
    return typed


def focus_of(trace: Trace, *, ran: bool = False) -> Completion:
    """Return the editor's request when the cell, still empty, gets the focus."""
    first = trace.keystrokes[0]
    cells = (*first.cells[: first.active], "", *first.cells[first.active + 1 :])
    return replace(first, cells=cells, offset=0).request(ran=ran, trigger="warmup", client="typist")


def finish(typed: TypingResult, trace: Trace, score: Score, live: Live | None = None) -> None:
    """Add the score of a trace that was typed to its end."""
    score.typed(trace.length, trace.length)
    typed.invalid += sum(
        judged(before).valid and not judged(before + text).valid for before, text in score.shown
    )
    typed.add(trace.name, score)
    if live:
        for before, text in score.shown:
            live.count_names(typed.names, before, text)
