"""The study log of a completer: requests, answers and feedback become events. Nothing here waits for a disk.

Only requests of editors are in it: those of a program say nothing of a person. What the events say of a
person is numbers. A document is a number that is drawn when it is first seen, so nothing leads from it to a
path, and it is another one in each session.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

from jupyter_turbopilot.context.languages import cell_language
from jupyter_turbopilot.context.private import is_private_path
from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.study.events import LANGUAGES, LOG, OTHER
from jupyter_turbopilot.study.private_text import Surroundings, loggable, surroundings_of
from jupyter_turbopilot.study.writer import Writer
from jupyter_turbopilot.suggestion.position import LOOKED_AT, kind_of_position

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path

    from jupyter_turbopilot.reply import Item, Reply
    from jupyter_turbopilot.request import Completion, Feedback
    from jupyter_turbopilot.study.lines import Event

    Listener = Callable[[Reply], None]
    Where = Literal["server", "terminal"]

SUGGESTIONS = 2048  # whose feedback is waited for at a time: what is taken is followed for minutes
CELLS = 512  # whose lengths are remembered
DOCUMENTS = 100_000  # numbers to draw from
PASTED = 400  # characters that nobody types or takes at once
UNANSWERED = 200  # requests without anything to show, after which they are written down
UNKNOWN = "unknown"  # the model, where none has answered yet, or the version, where it is not installed
_NAMES = {"accepted": "taken"}  # what feedback calls events otherwise


@dataclass
class _Cell:
    """How much of a cell was written while it was looked at."""

    length: int
    typed: int = 0  # characters that it grew by and that belong to no taken suggestion yet


@dataclass(frozen=True)
class _Request:
    """What an answer to a request is to be logged with."""

    begun: float
    document: int
    before: str  # some of the text before the cursor
    eagerness: str
    invoked: bool
    language: str
    around: Surroundings | None  # where the text may be logged
    cell: _Cell
    typed: int  # in the cell by then


@dataclass
class _Suggestion:
    """What was sent of a suggestion."""

    name: str
    asked: _Request
    scores: dict[int, float] = field(default_factory=dict)  # by the lengths in which it was sent
    text: str = ""  # where it may be logged
    recalled: bool = False
    shown: int = -1  # characters when it was shown last
    taken: int = 0  # characters

    def send(self, item: Item) -> None:
        self.scores[len(item.text)] = item.confidence
        self.recalled = item.recalled
        if self.asked.around:
            self.text = item.text

    def take(self, chars: int) -> int:
        """Take characters into the cell; return how many of them were not counted as they were typed."""
        new, cell = max(0, chars - self.taken), self.asked.cell
        typed = min(new, max(0, cell.typed - self.asked.typed))
        self.taken += new
        cell.typed -= typed
        cell.length += new - typed
        return new - typed

    def score(self, length: int) -> float:
        known = self.scores.get(length, self.scores[max(self.scores)])
        return round(min(1.0, max(0.0, known)), 3)


class Study:
    """Logs what becomes of the suggestions of one person."""

    def __init__(
        self, name: str | Path, *, text: bool, eagerness: str = "balanced", where: Where = "server"
    ) -> None:
        self.name = str(name)
        self.text = text
        self._eagerness = eagerness
        self._where = where
        self._session = secrets.token_urlsafe(3)
        self._writer = Writer(name, partial(self._count_lost, self._session))
        self._lock = threading.Lock()
        self._suggestions: OrderedDict[str, _Suggestion] = OrderedDict()  # by the names of their answers
        self._cells: OrderedDict[Hashable, _Cell] = OrderedDict()
        self._documents: dict[str, int] = {}
        self._model = UNKNOWN
        self._own_models: dict[str, int] = {}
        self._said: tuple[str, str, int] | None = None  # model, eagerness and zone of the last session line
        self._number = self._requests = self._written = 0

    @property
    def trouble(self) -> str:
        """Why nothing is written, in a few words; empty if all is well."""
        return self._writer.trouble

    def begin(self) -> None:
        """See whether the file can be written."""
        self._writer.begin()

    def follow(self, request: Completion, listener: Listener) -> Listener:
        """Log what a request of an editor's is answered; others are left alone.

        So are those for alternatives to what is shown: of these the feedback names none.
        """
        if not request.client or request.trigger not in {"automatic", "invoke"} or request.n > 1:
            return listener
        asked = self._note(request)
        known: list[_Suggestion] = []

        def listen(reply: Reply) -> None:
            self._model = reply.model or self._model  # one that was cancelled names none
            if reply.items:
                self._answer(asked, reply, known)
            listener(reply)

        return listen

    def receive(self, feedback: Feedback) -> None:
        """Log what became of a suggestion."""
        with self._lock:
            if not (known := self._suggestions.get(feedback.id)):
                return
            self._suggestions.move_to_end(feedback.id)
            event = self._event(
                _NAMES.get(feedback.event, feedback.event), id=known.name, chars=feedback.chars
            )
            if feedback.event == "shown":
                known.shown = feedback.chars
                event["score"] = known.score(feedback.chars)
                if known.recalled:
                    event["memory"] = True
                around, text = known.asked.around, known.text[: feedback.chars]
                self._writer.put(partial(_with_text, event, text, around) if around else lambda: event)
                return
            if feedback.event == "accepted":
                if (typed := feedback.before - known.taken) > 0:
                    event["typed"] = typed
                self._written += known.take(feedback.chars)
            if feedback.event != "retained" and feedback.length not in {0, known.shown}:
                event["of"] = feedback.length
            seconds = round(feedback.seconds, 1)
            event["after"] = int(seconds) if seconds == int(seconds) else seconds
            self._writer.put(lambda: event)

    def close(self) -> None:
        """Write the end."""
        with self._lock:
            if self._said or self._requests:
                self._say_counts("ended")
        self._writer.close()

    def _note(self, request: Completion) -> _Request:
        """Count a request, and by how much its cell has grown since the last one."""
        cell = request.cells[request.active]
        source, path = cell.source, request.path
        place = (path, cell.id or request.active)
        with self._lock:
            known = self._cells.pop(place, None) or _Cell(len(source))
            self._cells[place] = known
            if len(self._cells) > CELLS:
                self._cells.popitem(last=False)
            if 0 < (grown := len(source) - known.length) <= PASTED:
                self._written += grown
                known.typed += grown
            known.length = len(source)
            typed = known.typed
            self._requests += 1
            if self._requests >= UNANSWERED:
                self._say_counts("typing")
            document = self._document(path)
        logs = self.text and not is_private_path(path)
        return _Request(
            time.perf_counter(),
            document,
            source[max(0, request.offset - LOOKED_AT) : request.offset],
            request.eagerness or self._eagerness,
            request.trigger == "invoke",
            known_language(cell_language(source, request.language)),
            surroundings_of(request.prefix, request.suffix) if logs else None,
            known,
            typed,
        )

    def _answer(self, asked: _Request, reply: Reply, known: list[_Suggestion]) -> None:
        """Note what is sent; log the request with the first of it."""
        with self._lock:
            if not known:
                self._say_session(reply.model or self._model, asked.eagerness)
                self._number += 1
                known.append(_Suggestion(f"{self._session}.{self._number}", asked))
                self._suggestions[reply.id] = known[0]
                if len(self._suggestions) > SUGGESTIONS:
                    self._suggestions.popitem(last=False)
                event = self._event("requested", id=known[0].name, doc=asked.document)
                milliseconds = round((time.perf_counter() - asked.begun) * 1000)
                rest: Event = {"ms": milliseconds} | self._since()
                if asked.invoked:
                    rest["trigger"] = "invoke"
                if asked.language != LANGUAGES[0]:
                    rest["language"] = asked.language
                before = asked.before
                self._writer.put(lambda: event | {"at": kind_of_position(before)} | rest)
            known[0].send(reply.items[0])

    def _say_counts(self, event: str) -> None:
        """Write down what was counted, wherever anything was shown or not."""
        if not self._said:
            self._say_session(self._model, self._eagerness)
        counted = self._event(event, session=self._session) | self._since()
        self._writer.put(lambda: counted)

    def _say_session(self, model: str, eagerness: str) -> None:
        """Say under which conditions the next events happen, where that has changed."""
        zone = (time.localtime().tm_gmtoff or 0) // 60
        if self._said == (said := (model, eagerness, zone)):
            return
        self._said = said
        session = self._event("session", session=self._session)
        name = name_of(model, self._own_models)
        self._writer.put(partial(self._session_line, session, name, eagerness, zone), must=True)

    def _session_line(self, session: Event, model: str, eagerness: str, zone: int) -> Event:
        """Complete a session's line, on the writer's thread."""
        return {
            "schema": LOG,
            **session,
            "version": _version(),
            "where": self._where,
            "zone": zone,
            "text": self.text,
            "model": model,
            "eagerness": eagerness,
        }

    def _since(self) -> Event:
        """Return what was counted since the last time, and begin anew."""
        counted: Event = {"requests": self._requests, "written": self._written}
        self._requests = self._written = 0
        return counted

    def _document(self, path: str) -> int:
        """Return the number that stands for a path."""
        if path not in self._documents:
            if len(self._documents) >= CELLS:
                self._documents.clear()
            self._documents[path] = secrets.randbelow(DOCUMENTS)
        return self._documents[path]

    @staticmethod
    def _event(event: str, **more: object) -> Event:
        return {"t": round(time.time(), 1), "event": event, **more}

    @staticmethod
    def _count_lost(session: str, lines: int) -> Event:
        return Study._event("dropped", session=session, lines=lines)


def name_of(model: str, numbers: dict[str, int]) -> str:
    """Return what a log calls a model: what a person calls a file of their own is nobody else's to know.

    A digest would confirm whoever guesses the name; a number that is drawn leads nowhere.
    """
    if not model or model in catalog() or model == UNKNOWN:
        return model or UNKNOWN
    return f"other-{numbers.setdefault(model, secrets.randbelow(DOCUMENTS))}"


@cache
def _version() -> str:
    """Return the installed version; slow the first time."""
    try:
        return version("jupyter-turbopilot")
    except PackageNotFoundError:  # it runs from its source, and a log needs its session lines
        return UNKNOWN


def known_language(language: str) -> str:
    """Return what a log calls a language: a person may have given one a name of their own."""
    return language.lower() if language.lower() in LANGUAGES else OTHER


def _with_text(event: Event, text: str, around: Surroundings) -> Event:
    found = loggable(text, around)
    return event if found is None else event | {"text": found}
