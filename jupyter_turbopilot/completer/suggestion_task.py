"""What a suggestion needs: context and names around the cursor, trimming, the gate."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from msgspec import structs

from jupyter_turbopilot.completer.importing import sources_of
from jupyter_turbopilot.completer.outcomes import Terms
from jupyter_turbopilot.completer.task import Recollection, Task
from jupyter_turbopilot.context.facts import NONE, Facts
from jupyter_turbopilot.context.languages import cell_language
from jupyter_turbopilot.context.notebook import gather, text_before
from jupyter_turbopilot.context.private import is_private_path
from jupyter_turbopilot.engine.job import Priority
from jupyter_turbopilot.generation import Sampling
from jupyter_turbopilot.memory import recall
from jupyter_turbopilot.memory.cells import ChosenCells
from jupyter_turbopilot.memory.ways import ways_at
from jupyter_turbopilot.suggestion.cache import Place
from jupyter_turbopilot.suggestion.features import cursor_features
from jupyter_turbopilot.suggestion.fit import fit_for, subject_of
from jupyter_turbopilot.suggestion.gate import Gate
from jupyter_turbopilot.suggestion.learning import AS_FITTED
from jupyter_turbopilot.suggestion.names import Names, names_at, scope_of
from jupyter_turbopilot.suggestion.surroundings import surroundings_of
from jupyter_turbopilot.suggestion.writing import Suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.completer.task import LayoutFor
    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.context.notebook import Context
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.memory.cells import Choice
    from jupyter_turbopilot.memory.reader import Memory
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.request import Completion, Document
    from jupyter_turbopilot.suggestion.features import CursorFeatures
    from jupyter_turbopilot.suggestion.learning import Calibration
    from jupyter_turbopilot.suggestion.resolve import Scope

_PRIORITIES = {"warm": Priority.WARM, "ahead": Priority.AHEAD}


@dataclass(frozen=True)
class Person:
    """What is known of the person who asks."""

    memory: Memory | None = None  # of their own code
    cells: ChosenCells = field(default_factory=ChosenCells)  # out of that
    calibration: Callable[[str], Calibration] = lambda _: AS_FITTED  # how scores are read, by subject


NOBODY = Person()


def suggestion_task(
    request: Completion,
    facts: Facts,
    model: str,
    settings: Turbopilot,
    layout_for: LayoutFor,
    person: Person = NOBODY,
) -> Task:
    """Say what a suggestion needs."""
    # What is shown becomes part of the notebook, and of what is asked of a server elsewhere next.
    may_use = request.memory and settings.may_send_memory and not is_private_path(request.path)
    person = person if may_use else replace(person, memory=None)
    memory, cells = person.memory, person.cells
    cursor = _Cursor(request, facts, model, settings, layout_for, person)
    before, after = text_before(request)
    asked_for = (request.lines, request.language, request.path, memory is not None)
    length = _length(request, settings, multi=cursor.multi)
    task = Task(
        prompt=cursor.prompt,
        writing=cursor.writing,
        names=cursor.names,
        names_stay=settings.engine == "remote" and not settings.remote.send_kernel_facts,
        place=Place(
            (asked_for, facts.digest),
            before,
            limit=(length, cursor.max_lines, cursor.unasked, cursor.threshold),
            after=after,
            # Other open documents change while somebody types, which begins nothing anew; an answer that may
            # have come from them does not last.
            lasts=not (is_private_path(request.path) or request.extra),
        ),
        sampling=Sampling(length, request.temperature, seed=request.seed or 0),
        in_units=True,
        deadline=settings.deadline,
        n=request.n,
        stream=request.stream,
        client=request.client,
        document=f"{request.path}\n{request.cells[request.active].id or request.active}",
        language=cell_language(request.cells[request.active].source, request.language),
        gated=request.trigger == "automatic",
        judged=cursor.threshold > 0,
        terms=cursor.terms if request.trigger == "automatic" else None,
        moves=settings.move_suffix,
        priority=_PRIORITIES.get(request.trigger, Priority.TYPING),
    )
    if not memory:
        return task
    if request.trigger == "ahead":  # nobody has typed since the last request: what was chosen stays
        return cursor.joined(task, cells.of(request))
    return replace(
        task,
        recall=partial(cursor.recall, memory, cells),
        joined=lambda task, found: cursor.joined(task, found.cells if found else cells.settle(request)),
    )


class _Cursor:
    """What stands around the cursor, gathered when it is first needed: a known answer needs little of it."""

    def __init__(
        self,
        request: Completion,
        facts: Facts,
        model: str,
        settings: Turbopilot,
        layout_for: LayoutFor,
        person: Person,
    ) -> None:
        self._request = request
        self._facts = facts
        self._memory = person.memory
        self._settings = settings
        self._layout_for = layout_for
        self.max_lines = request.max_lines or settings.max_lines
        own = request.cells[request.active]
        language = cell_language(own.source, request.language)
        earlier = (
            cell.source
            for cell in request.cells[: request.active]
            if cell.type == own.type and cell_language(cell.source, request.language) == language
        )
        self._surroundings = surroundings_of(
            request.prefix, request.suffix, request.lines, self.max_lines, earlier
        )
        self.unasked = request.trigger in {"automatic", "ahead"}
        self._eagerness = request.eagerness or settings.eagerness
        fit, subject = fit_for(model), subject_of(model, self._eagerness)
        self._coefficients = fit.coefficients
        threshold, promised = fit.thresholds[self._eagerness], fit.promised.get(self._eagerness)
        if promised:
            # As it is read, a score passes where it passes a moved threshold as it was fitted.
            threshold = person.calibration(subject).threshold(threshold)
        self.threshold = threshold if self.unasked else 0.0
        self.terms = Terms(subject, threshold, promised)

    @property
    def multi(self) -> bool:
        """Whether the answer may have several lines."""
        return self._surroundings.multi

    @cached_property
    def _context(self) -> Context:
        return gather(*_leaving(self._request, self._facts, self._settings))

    @cached_property
    def _scope(self) -> Scope:
        return scope_of(self._request, self._facts)

    def prompt(self, engine: Engine, chosen: Sequence[Document] = ()) -> Prompt:
        """Lay the prompt out for an engine, with cells that were chosen out of memory."""
        context = self._context
        if chosen:
            context = gather(*_leaving(self._request, self._facts, self._settings), chosen)
        return self._layout_for(engine).prompt(self._request, context)

    def joined(self, task: Task, cells: Choice) -> Task:
        """Put cells out of memory in the prompt: the answer is another one then, and does not last."""
        if not cells.documents:
            return task
        place = replace(task.place, group=(task.place.group, cells.digest), lasts=False)
        prompt = partial(self.prompt, chosen=cells.documents)
        return replace(task, prompt=prompt, place=place, passing=True)

    @cached_property
    def _features(self) -> CursorFeatures:
        # Without what was chosen out of memory, as they were when the scores were fitted.
        return cursor_features(self._request.prefix, self._request.suffix, self._context.pieces)

    def _names(self, *, waits: bool = True) -> Names:
        # What may not be told to a server elsewhere is not added to what it will be told.
        request, _ = _leaving(self._request, self._facts, self._settings)
        return Names(request, self._scope, sources_of(request, self._facts, self._memory, waits=waits))

    def writing(self) -> Suggestion:
        """Begin a text that is trimmed to its place and shown as far as the gate lets it."""
        names = self._names()
        gate = Gate(self._features, self.threshold, names.fit, self._coefficients)
        return Suggestion(
            self._surroundings,
            gate,
            unasked=self.unasked,
            imports=names.imports,
            undecided=lambda: names.undecided,
        )

    def names(self) -> Sequence[str]:
        """Return the names of which one has to follow; none: anything may."""
        return names_at(self._request, self._scope)

    def recall(self, memory: Memory, cells: ChosenCells) -> Recollection:
        """Choose cells from memory if this one has just got the focus; say how its line goes on there."""
        request, chosen = self._request, cells.choose(memory, self._request)
        if request.trigger == "warm":
            return Recollection(chosen)
        ways = ways_at(memory, request, self._surroundings, time.time())
        if not ways:
            return Recollection(chosen)
        # What is asked for is the model's to answer: there, memory is a guess.
        shows = request.trigger == "automatic" and request.n == 1
        threshold = recall.fit().thresholds[self._eagerness] if shows else math.inf
        names = self._names(waits=False)
        line = recall.recall(ways, self._features, self._surroundings, names.fit, threshold)
        if line and line.sure:
            line = replace(line, imports=names.imports(line.text))
        return Recollection(chosen, line, settled=not names.undecided)


def _leaving(request: Completion, facts: Facts, settings: Turbopilot) -> tuple[Completion, Facts]:
    """Leave out of a prompt what may not go to a server elsewhere."""
    if settings.engine != "remote":
        return request, facts
    if not settings.remote.send_documents:
        # A terminal's own history has no path.
        request = structs.replace(request, extra=[other for other in request.extra if not other.path])
    return request, facts if settings.remote.send_kernel_facts else NONE


def _length(request: Completion, settings: Turbopilot, *, multi: bool) -> int:
    if request.trigger == "warm":
        return 0
    # Somebody who asks for several lines has the time for more.
    return request.max_tokens or settings.max_tokens * (4 if multi and request.trigger == "invoke" else 1)
