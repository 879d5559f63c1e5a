"""The usage log: events of an editor's requests, their answers and the feedback on them.

No method waits for the disk. Documents are logged as numbers that differ in each session, to keep their paths
private.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from jupyter_turbopilot.analysis.languages import cell_language
from jupyter_turbopilot.completer.listeners import SuggestionListener
from jupyter_turbopilot.context.private import ARMOUR, is_private_path, without_spread_secrets
from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.util.bounds import LimitedDict
from turbopilot_research.positions import LOOKED_AT, kind_of_position
from turbopilot_research.usage import describe_content
from turbopilot_research.usage.events import LANGUAGES, SCHEMA, Event
from turbopilot_research.usage.file import Writer

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from jupyter_turbopilot.completer.listeners import Where
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.protocol.reply import Reply
    from jupyter_turbopilot.protocol.request import Completion, Feedback

SUGGESTIONS = 2048  # suggestions awaiting feedback: accepted ones are followed for minutes
CELLS = 512  # cells with a known length
PASTED = 400  # characters; a larger change is neither typed nor accepted
LINES = 4  # lines before the cursor: a value may be some lines below its name
LONGEST = 4096  # characters of a suggestion and of the text around it


@dataclass(frozen=True)
class Surroundings:
    """The text next to a suggestion: a secret may begin before it and end after it."""

    before: str
    after: str
    armoured: bool = False  # whether an armoured key that began above, at any distance, is still open


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
    score: float = 0.0
    from_index: bool = False
    accepted: int = 0  # characters

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
        self._salt = secrets.token_bytes(16)
        self._number = self._requests = self._written = 0
        self._session = secrets.token_urlsafe(3)
        session = Event(
            "session",
            _now(),
            SCHEMA,
            session=self._session,
            version=version("jupyter-turbopilot"),
            where=where,
            has_text=text,
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
            if self._number or self._requests:
                counts = self._take_counts()
                self._writer.put(partial(Event, "ended", _now(), session=self._session, **counts))
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
        self._requests += 1
        return _LoggedSuggestion(cell, cell.typed)

    def _take_counts(self) -> dict[str, Any]:
        counts = {"requests": self._requests, "written": self._written}
        self._requests = self._written = 0
        return counts

    def _private_number(self, name: str) -> int:
        """Return the number that represents a name in this session."""
        name_bytes = name.encode("utf-8", "replace")
        return int.from_bytes(blake2b(name_bytes, key=self._salt, digest_size=3).digest())

    def _answer(self, request: Completion, suggestion: _LoggedSuggestion, reply: Reply) -> None:
        """Record the text that was sent; log the request with the first reply."""
        if not suggestion.id:
            self._number += 1
            suggestion.id = f"{self._session}.{self._number}"
            self._suggestions[reply.id] = suggestion
            if self.text and not is_private_path(request.path):
                suggestion.surroundings = surroundings_of(request.prefix, request.suffix)
            self._put_request(request, suggestion, reply.model)
        item = reply.items[0]
        suggestion.score = round(min(1.0, max(0.0, item.confidence)), 3)
        suggestion.from_index = item.from_index
        # A text of the kernel is not logged.
        suggestion.text = item.shown if suggestion.surroundings and not item.is_read else ""

    def _put_request(self, request: Completion, suggestion: _LoggedSuggestion, model: str) -> None:
        source = request.cells[request.active].source
        before = source[max(0, request.offset - LOOKED_AT) : request.offset]
        language = cell_language(source, request.language).lower()
        event = Event(
            "requested",
            _now(),
            id=suggestion.id,
            doc=self._private_number(request.path),
            # The name of a user's own file is private.
            model=model if model in catalog() else f"other-{self._private_number(model)}",
            eagerness=request.eagerness or self._eagerness,  # type: ignore[arg-type]  # the same values
            language=language if language in LANGUAGES else "other",  # a user's own name may be private
            trigger="invoke" if request.trigger == "invoke" else "automatic",
            ms=round((time.perf_counter() - suggestion.begun) * 1000),
            **self._take_counts(),
        )
        self._writer.put(lambda: replace(event, at=kind_of_position(before)))

    def _show(self, suggestion: _LoggedSuggestion, chars: int) -> None:
        score, from_index = suggestion.score, suggestion.from_index
        event = Event("shown", _now(), id=suggestion.id, chars=chars, score=score, from_index=from_index)
        text, around = suggestion.text[:chars], suggestion.surroundings
        self._writer.put(lambda: replace(event, text=loggable(text, around) or "") if around else event)

    def _end(self, suggestion: _LoggedSuggestion, feedback: Feedback) -> None:
        typed, after = 0, round(feedback.seconds, 1)
        if feedback.event == "accepted":
            typed = max(0, feedback.before - suggestion.accepted)
            self._written += suggestion.take(feedback.chars)
        outcome = partial(Event, feedback.event, _now())  # type: ignore[arg-type]  # checked when it is written
        self._writer.put(partial(outcome, id=suggestion.id, chars=feedback.chars, after=after, typed=typed))


def _now() -> float:
    return round(time.time(), 1)


# Text that may be a secret ----------------------------------------------------------------------------------


def surroundings_of(prefix: str, suffix: str) -> Surroundings:
    """Keep the text that determines whether a suggestion between these may be a secret."""
    before = "".join(prefix[-LONGEST:].splitlines(keepends=True)[-LINES:])
    after = "".join(suffix[:LONGEST].splitlines(keepends=True)[:LINES])
    # An unfinished key extends to the end of the text; so does one that ends at the cursor.
    armoured = any(found.end() == len(prefix) for found in ARMOUR.finditer(prefix))
    return Surroundings(before, after, armoured)


def loggable(text: str, around: Surroundings) -> str | None:
    """Return a suggestion's text; None if it may be part of a secret."""
    if len(text) > LONGEST or around.armoured:
        return None
    whole = around.before + text + around.after
    begin, end = len(around.before), len(around.before) + len(text)
    if any(found.start() < end and found.end() >= begin for found in ARMOUR.finditer(whole)):
        return None
    return text if without_spread_secrets(whole) == whole else None
