"""The usage log: events of an editor's requests, their answers and the feedback on them.

No method waits for the disk. Documents are logged as random numbers, to keep their paths private.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from jupyter_turbopilot.completer.listeners import SuggestionListener
from jupyter_turbopilot.context.languages import cell_language
from jupyter_turbopilot.context.private import is_private_path
from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.plugins.usage import describe_content, events
from jupyter_turbopilot.plugins.usage.file import Writer
from jupyter_turbopilot.plugins.usage.private_text import Surroundings, loggable, surroundings_of
from jupyter_turbopilot.suggestion.features import LOOKED_AT, kind_of_position
from jupyter_turbopilot.util.limited_dict import LimitedDict

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from jupyter_turbopilot.completer.listeners import Where
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.protocol.reply import Item, Reply
    from jupyter_turbopilot.protocol.request import Completion, Feedback

SUGGESTIONS = 2048  # suggestions awaiting feedback: accepted ones are followed for minutes
CELLS = 512  # cells with a known length
NUMBERS = 100_000  # to draw from
PASTED = 400  # characters; a larger change is neither typed nor accepted
UNANSWERED = 200  # requests with nothing to show, after which their number is logged
UNKNOWN = "unknown"  # the model, before the first answer


@dataclass
class _Cell:
    length: int
    typed: int = 0  # typed characters that are not in an accepted suggestion


@dataclass
class _LoggedSuggestion:
    """A request, and the suggestion that was sent for it."""

    cell: _Cell
    typed: int  # typed characters of the cell before the request
    begun: float = field(default_factory=time.perf_counter)
    id: str = ""  # set once there is something to show
    surroundings: Surroundings | None = None  # set if the text may be logged
    text: str = ""
    scores: dict[int, float] = field(default_factory=dict)  # by length
    from_index: bool = False
    shown: int = -1  # characters when it was last shown
    accepted: int = 0  # characters

    def send(self, item: Item) -> None:
        self.scores[len(item.shown)] = item.confidence
        self.from_index = item.from_index
        if self.surroundings:
            self.text = item.shown

    def score(self, length: int) -> float:
        score = self.scores.get(length, self.scores[max(self.scores)])
        return round(min(1.0, max(0.0, score)), 3)

    def take(self, chars: int) -> int:
        """Accept characters into the cell; return how many of them were not counted as typed."""
        new = max(0, chars - self.accepted)
        typed = min(new, max(0, self.cell.typed - self.typed))
        self.accepted += new
        self.cell.typed -= typed
        self.cell.length += new - typed
        return new - typed


class UsageLog(SuggestionListener):
    """Logs the suggestions of one user."""

    def __init__(
        self, name: str | Path, *, text: bool, eagerness: str = "balanced", where: Where = "server"
    ) -> None:
        self.name = str(name)
        self.text = text
        self.notice = "The server writes a usage log (c.Turbopilot.usage_log)."
        if where == "terminal":
            self.notice = f"Suggestions are logged in {name} ({describe_content(text=text)})."
        self._eagerness = eagerness
        self._lock = threading.Lock()
        self._suggestions = LimitedDict[str, _LoggedSuggestion](SUGGESTIONS)  # by the id of their reply
        self._cells: LimitedDict[Hashable, _Cell] = LimitedDict(CELLS)
        self._documents: dict[str, int] = {}
        self._models: dict[str, int] = {}
        self._number = self._requests = self._written = 0
        self._begun = False
        session = events.Session(
            t=_now(),
            schema=events.SCHEMA,
            session=secrets.token_urlsafe(3),
            version=version("jupyter-turbopilot"),
            where=where,
            zone=_zone(),
            text=text,
            model=UNKNOWN,
            eagerness=eagerness,  # type: ignore[arg-type]  # the setting allows the same values
        )
        self._writer = Writer(name, session)

    @property
    def error(self) -> str:
        """The reason to write nothing, or an empty text."""
        return self._writer.error

    def describe(self, *, own: bool) -> dict[str, Any]:
        """Describe the log in the health report; its path only for the server's owner."""
        file = self.name if own else None
        return {"usage_log": {"text": self.text, "file": file, "error": self.error or None}}

    def requested(self, request: Completion, _plan: Plan) -> Listener | None:
        """Log a request of an editor; return a listener that logs its replies.

        Requests of programs are not logged, nor are those for alternatives, which get no feedback.
        """
        if not request.client or request.trigger not in {"automatic", "invoke"} or request.n > 1:
            return None
        with self._lock:
            suggestion = self._count(request)

        def listen(reply: Reply) -> None:
            with self._lock:
                self._set_session(reply.model, request.eagerness or self._eagerness)
                if reply.items:
                    self._answer(request, suggestion, reply)

        return listen

    def receive(self, feedback: Feedback) -> None:
        """Log feedback on a suggestion."""
        with self._lock:
            if not (suggestion := self._suggestions.get(feedback.id)):
                return
            self._suggestions.move_to_end(feedback.id)
            if feedback.event == "shown":
                self._show(suggestion, feedback.chars)
            else:
                self._end(suggestion, feedback)

    def close(self) -> None:
        """Log the end of the session."""
        with self._lock:
            if self._begun:
                self._put_counts(events.Ended)
        self._writer.close()

    def _count(self, request: Completion) -> _LoggedSuggestion:
        """Count a request, and the characters by which its cell has grown since the last one."""
        source = request.cells[request.active].source
        place = (request.path, request.cells[request.active].id or request.active)
        cell = self._cells[place] = self._cells.get(place) or _Cell(len(source))
        if 0 < (grown := len(source) - cell.length) <= PASTED:
            self._written += grown
            cell.typed += grown
        cell.length = len(source)
        self._begun = True
        self._requests += 1
        if self._requests >= UNANSWERED:
            self._put_counts(events.Typing)
        return _LoggedSuggestion(cell, cell.typed)

    def _put_counts(self, event: type[events.Typing | events.Ended]) -> None:
        requests, written = self._take_counts()
        session = self._writer.session.session
        self._writer.put(partial(event, t=_now(), session=session, requests=requests, written=written))

    def _take_counts(self) -> tuple[int, int]:
        counts = self._requests, self._written
        self._requests = self._written = 0
        return counts

    def _set_session(self, model: str, eagerness: str) -> None:
        """Update the session of the next events; a cancelled answer has no model name."""
        last = self._writer.session
        name = self._model_name(model) if model else last.model
        session = replace(last, model=name, eagerness=eagerness, zone=_zone())
        if session != last:
            self._writer.session = replace(session, t=_now())

    def _model_name(self, model: str) -> str:
        """Return a catalogue name, or a random number, as the name of a user's own file is private."""
        if model in catalog():
            return model
        return f"other-{self._models.setdefault(model, secrets.randbelow(NUMBERS))}"

    def _answer(self, request: Completion, suggestion: _LoggedSuggestion, reply: Reply) -> None:
        """Record the text that was sent; log the request with the first reply."""
        if not suggestion.id:
            self._number += 1
            suggestion.id = f"{self._writer.session.session}.{self._number}"
            self._suggestions[reply.id] = suggestion
            if self.text and not is_private_path(request.path):
                suggestion.surroundings = surroundings_of(request.prefix, request.suffix)
            self._put_request(request, suggestion)
        suggestion.send(reply.items[0])

    def _put_request(self, request: Completion, suggestion: _LoggedSuggestion) -> None:
        source = request.cells[request.active].source
        before = source[max(0, request.offset - LOOKED_AT) : request.offset]
        requests, written = self._take_counts()
        event = partial(
            events.Requested,
            t=_now(),
            id=suggestion.id,
            doc=self._document(request.path),
            ms=round((time.perf_counter() - suggestion.begun) * 1000),
            requests=requests,
            written=written,
            trigger="invoke" if request.trigger == "invoke" else "automatic",
            language=known_language(cell_language(source, request.language)),
        )
        self._writer.put(lambda: event(at=kind_of_position(before)))

    def _document(self, path: str) -> int:
        """Return the number that represents a path in this session."""
        if path not in self._documents:
            if len(self._documents) >= CELLS:
                self._documents.clear()
            self._documents[path] = secrets.randbelow(NUMBERS)
        return self._documents[path]

    def _show(self, suggestion: _LoggedSuggestion, chars: int) -> None:
        suggestion.shown = chars
        score, from_index = suggestion.score(chars), suggestion.from_index
        event = events.Shown(t=_now(), id=suggestion.id, chars=chars, score=score, from_index=from_index)
        text, surroundings = suggestion.text[:chars], suggestion.surroundings
        if surroundings:
            self._writer.put(lambda: replace(event, text=loggable(text, surroundings) or ""))
        else:
            self._writer.put(lambda: event)

    def _end(self, suggestion: _LoggedSuggestion, feedback: Feedback) -> None:
        after = round(feedback.seconds, 1)
        outcome: dict[str, Any] = {"t": _now(), "id": suggestion.id, "chars": feedback.chars, "after": after}
        of = 0 if feedback.length == suggestion.shown else feedback.length
        match feedback.event:
            case "accepted":
                typed = max(0, feedback.before - suggestion.accepted)
                self._written += suggestion.take(feedback.chars)
                self._writer.put(partial(events.Accepted, **outcome, of=of, typed=typed))
            case "dismissed":
                self._writer.put(partial(events.Dismissed, **outcome, of=of))
            case "typed_over":
                self._writer.put(partial(events.TypedOver, **outcome, of=of))
            case "executed":
                self._writer.put(partial(events.Executed, **outcome))
            case "retained":
                self._writer.put(partial(events.Retained, **outcome))


def known_language(language: str) -> str:
    """Return the name of a language in the log; a user's own name for one may be private."""
    return language.lower() if language.lower() in events.LANGUAGES else "other"


def _now() -> float:
    return round(time.time(), 1)


def _zone() -> int:
    """Return the offset of the local time from UTC, in minutes."""
    return (time.localtime().tm_gmtoff or 0) // 60
