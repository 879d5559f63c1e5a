"""What a suggestion needs: context and names around the cursor, trimming, the gate."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import structs

from jupyter_turbopilot.completer.importing import sources_of
from jupyter_turbopilot.completer.outcomes import Terms
from jupyter_turbopilot.completer.task import Task
from jupyter_turbopilot.context.facts import NONE, Facts
from jupyter_turbopilot.context.languages import cell_language
from jupyter_turbopilot.context.notebook import gather, text_before
from jupyter_turbopilot.context.private import is_private_path
from jupyter_turbopilot.engine.queue import Priority
from jupyter_turbopilot.generation import Sampling
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
    from jupyter_turbopilot.memory.base import Memory
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.request import Completion
    from jupyter_turbopilot.suggestion.learning import Calibration
    from jupyter_turbopilot.suggestion.resolve import Scope

    Calibrations = Callable[[str], Calibration]

_PRIORITIES = {"warm": Priority.WARM, "ahead": Priority.AHEAD}


def suggestion_task(
    request: Completion,
    facts: Facts,
    model: str,
    settings: Turbopilot,
    layout_for: LayoutFor,
    memory: Memory | None = None,
    calibrations: Calibrations = lambda *_: AS_FITTED,
) -> Task:
    """Say what a suggestion needs; `calibrations` tells how scores are read, by whose they are."""
    memory = memory if request.memory and not is_private_path(request.path) else None
    cursor = _Cursor(request, facts, model, settings, layout_for, memory, calibrations)
    before, after = text_before(request)
    asked_for = (request.lines, request.language, request.path, memory is not None)
    length = _length(request, settings, multi=cursor.multi)
    return Task(
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
        memory=memory,
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
        memory: Memory | None,
        calibrations: Calibrations,
    ) -> None:
        self._request = request
        self._facts = facts
        self._memory = memory
        self._settings = settings
        self._layout_for = layout_for
        self.max_lines = request.max_lines or settings.max_lines
        self._surroundings = surroundings_of(request.prefix, request.suffix, request.lines, self.max_lines)
        self.unasked = request.trigger in {"automatic", "ahead"}
        self._fit = fit_for(model)
        eagerness = request.eagerness or settings.eagerness
        threshold, promised = self._fit.thresholds[eagerness], self._fit.promised.get(eagerness)
        if promised:
            # As it is read, a score passes where it passes a moved threshold as it was fitted.
            threshold = calibrations(subject_of(model, eagerness)).threshold(threshold)
        self.threshold = threshold if self.unasked else 0.0
        self.terms = Terms(subject_of(model, eagerness), threshold, promised)

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

    def prompt(self, engine: Engine) -> Prompt:
        """Lay the prompt out for an engine."""
        return self._layout_for(engine).prompt(self._request, self._context)

    def writing(self) -> Suggestion:
        """Begin a text that is trimmed to its place and shown as far as the gate lets it."""
        cursor = cursor_features(self._request.prefix, self._request.suffix, self._context.pieces)
        sources = sources_of(self._request, self._facts, self._memory)
        names = Names(self._request, self._scope, sources)
        gate = Gate(cursor, self.threshold, names.fit, self._fit.coefficients)
        return Suggestion(self._surroundings, gate, unasked=self.unasked, imports=names.imports)

    def names(self) -> Sequence[str]:
        """Return the names of which one has to follow; none: anything may."""
        return names_at(self._request, self._scope)


def _leaving(request: Completion, facts: Facts, settings: Turbopilot) -> tuple[Completion, Facts]:
    """Leave out of a prompt what may not go to a server elsewhere."""
    if settings.engine != "remote":
        return request, facts
    if not settings.remote.send_documents:
        # A terminal's own history has no path.
        request = structs.replace(request, extra=[other for other in request.extra if not other.path])
    return request, facts if settings.remote.send_kernel_facts else NONE


def _length(request: Completion, settings: Turbopilot, *, multi: bool) -> int:
    """Return how many tokens are written at most."""
    if request.trigger == "warm":
        return 0
    # Somebody who asks for several lines has the time for more.
    return request.max_tokens or settings.max_tokens * (4 if multi and request.trigger == "invoke" else 1)
