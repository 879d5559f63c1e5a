"""The plan for a suggestion."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import structs

from jupyter_turbopilot.analysis.kernel_context import NONE
from jupyter_turbopilot.analysis.languages import cell_language
from jupyter_turbopilot.completer.cache.completion_cache import CacheKey
from jupyter_turbopilot.completer.import_sources import sources_of
from jupyter_turbopilot.completer.plan import LOCAL, Limits, Matches, Plan
from jupyter_turbopilot.completer.tenant import session_of
from jupyter_turbopilot.context.notebook import gather, text_before
from jupyter_turbopilot.context.private import is_private_path
from jupyter_turbopilot.engine.job import Priority
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.protocol.engine_request import Sampling
from jupyter_turbopilot.protocol.reply import Item
from jupyter_turbopilot.suggestion import lookup
from jupyter_turbopilot.suggestion.candidates import Candidates, names_at
from jupyter_turbopilot.suggestion.gate import Gate
from jupyter_turbopilot.suggestion.names import Names, scope_of
from jupyter_turbopilot.suggestion.readable import MOST_CHOICES, certain_text, digest_of, written
from jupyter_turbopilot.suggestion.scores import cursor_features, fit_for
from jupyter_turbopilot.suggestion.surroundings import MAX_LINES, is_multi_line, surroundings_of
from jupyter_turbopilot.suggestion.writing import HOLD, TrimmedText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from jupyter_turbopilot.analysis.resolve import Scope
    from jupyter_turbopilot.completer.plan import Admission
    from jupyter_turbopilot.context.notebook import Context
    from jupyter_turbopilot.index.reader import NotebookIndex
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.prompt.layout import Layout
    from jupyter_turbopilot.protocol.request import Completion
    from jupyter_turbopilot.settings.config import Turbopilot
    from jupyter_turbopilot.suggestion.readable import Readings
    from jupyter_turbopilot.suggestion.scores import CursorFeatures, Trees
    from jupyter_turbopilot.suggestion.surroundings import Surroundings

_PRIORITIES = {"warmup": Priority.WARMUP, "prefetch": Priority.PREFETCH}


class CursorContext:
    """The context of the cursor, computed lazily: a cached answer needs only a part of it."""

    def __init__(
        self, request: Completion, admission: Admission, settings: Turbopilot, max_lines: int
    ) -> None:
        """`max_lines`: of a suggestion."""
        self.request = request
        self.kernel_context = admission.kernel_context
        self._readings = admission.readings
        self.settings = settings
        self._max_lines = max_lines

    @cached_property
    def context(self) -> Context:
        """The context for a prompt."""
        return gather(*self._allowed_to_leave)

    @cached_property
    def _allowed_to_leave(self) -> tuple[Completion, KernelContext]:
        """The request and the kernel context without the data that may not be sent to the engine."""
        section, request = self.settings.engine_section, self.request
        if not section.send_documents:
            # The history of a terminal session has no path.
            documents = [other for other in request.documents if not other.path]
            request = structs.replace(request, documents=documents)
        return request, self.kernel_context if section.send_kernel_context else NONE

    @cached_property
    def surroundings(self) -> Surroundings:
        """The limits of a suggestion."""
        request = self.request
        own = request.cells[request.active]
        language = cell_language(own.source, request.language)
        earlier = (
            cell.source
            for cell in request.cells[: request.active]
            if cell.type == own.type and cell_language(cell.source, request.language) == language
        )
        return surroundings_of(request.prefix, request.suffix, request.lines, self._max_lines, earlier)

    @cached_property
    def scope(self) -> Scope:
        """The names that are defined at the cursor."""
        return scope_of(self.request, self.kernel_context, self._readings.headers)

    @cached_property
    def features(self) -> CursorFeatures:
        """The gate's features of the cursor."""
        return cursor_features(self.request.prefix, self.request.suffix, self.context.pieces)

    @cached_property
    def following(self) -> Candidates:
        """The candidates for the name that is being typed."""
        return names_at(self.request, self.scope)

    def names(self, notebook_index: NotebookIndex | None, *, waits: bool = True) -> Names:
        """Return the names that a suggestion may use."""
        # An added import line becomes part of the next prompt, so it may not use data that may not be sent.
        request, _ = self._allowed_to_leave
        sources = sources_of(request, self.kernel_context, notebook_index, waits=waits)
        return Names(request, self.scope, sources, self._readings.reader)


@dataclass(frozen=True)
class Judgement:
    """How a text is judged, and whether it is shown."""

    eagerness: str
    trees: Trees  # they score the prefixes of a suggestion
    threshold: float  # the lowest score of a shown suggestion; 0: show all
    unasked: bool  # whether the user has not invoked it


@dataclass(frozen=True, kw_only=True)
class SuggestionPlan(Plan):
    """A plan with the cursor's context and names, trimming, and the gate."""

    cursor: CursorContext
    notebook_index: NotebookIndex | None
    judgement: Judgement

    def prompt(self, layout: Layout, max_tokens: int = 0) -> Prompt:
        return layout.prompt(self.cursor.request, self.cursor.context, max_tokens)

    def writing(self, *, waits: bool = True) -> TrimmedText:
        """Return an empty text, which is trimmed at the cursor and passes the gate."""
        request = self.cursor.request
        own = request.cells[request.active]
        names = self.cursor.names(self.notebook_index, waits=waits)
        gate = Gate(
            self.cursor.features,
            self.judgement.threshold,
            names,
            self.judgement.trees,
            candidates=self.cursor.following,
            is_python=own.type == "code" and cell_language(own.source, request.language) == "python",
        )
        return TrimmedText(
            self.cursor.surroundings,
            gate,
            unasked=self.judgement.unasked,
            hold=HOLD if self.stream else math.inf,
        )

    def names(self) -> Sequence[str]:
        return self.cursor.following.texts

    def match(self) -> Matches:
        """Look up a continuation of the line."""
        request, notebook_index = self.cursor.request, self.notebook_index
        if not (notebook_index and self.asks_index):
            return Matches()
        surroundings = self.cursor.surroundings
        candidates = lookup.continuations_at(notebook_index, request, surroundings)
        if not candidates:
            return Matches()
        # The model answers an invoked request; a line of the index is only its draft.
        shows = request.trigger == "automatic" and request.n == 1
        threshold = lookup.fit().thresholds[self.judgement.eagerness] if shows else math.inf
        names = self.cursor.names(notebook_index, waits=False)
        line = lookup.best_match(candidates, self.cursor.features, surroundings, names.fit, threshold)
        if line and line.sure:
            line = replace(line, imports=names.imports(line.text))
        return Matches(line, settled=not names.undecided)


def plan_suggestion(
    request: Completion, model: str, settings: Turbopilot, admission: Admission = LOCAL
) -> SuggestionPlan:
    """Plan a suggestion. The gate is fitted to each `model`."""
    # An accepted index match becomes part of the notebook, and of the next prompt for a remote server.
    may_use = request.notebook_index and settings.may_send_index and not is_private_path(request.path)
    notebook_index = admission.notebook_index if may_use else None
    readings, tenant = admission.readings, admission.tenant
    own = request.cells[request.active]
    unasked = request.trigger in {"automatic", "prefetch"}
    is_reduced = unasked and admission.level >= Level.SHORT_SUGGESTIONS
    max_lines = 1 if is_reduced else request.max_lines or MAX_LINES
    eagerness = request.eagerness or settings.eagerness
    fit = fit_for(model)
    threshold = fit.thresholds[eagerness] if unasked else 0.0
    before, after = text_before(request)
    multi = is_multi_line(request.prefix, request.suffix, request.lines)
    # A user who invokes a multi-line suggestion can wait longer.
    usual = settings.max_tokens * (4 if multi and request.trigger == "invoke" else 1)
    length = 0 if request.trigger == "warmup" else request.max_tokens or usual
    if is_reduced:
        length = max(1, length // 2)
    return SuggestionPlan(
        cursor=CursorContext(request, admission, settings, max_lines),
        notebook_index=notebook_index,
        judgement=Judgement(eagerness, fit.trees, threshold, unasked=unasked),
        cache_key=CacheKey(
            (request.lines, request.language, request.path, notebook_index is not None),
            before,
            limit=(length, max_lines, unasked, threshold),
            after=after,
            kernel=admission.kernel_context.digest + digest_of(readings.headers),
            # Other open documents are not part of the key, so that their changes do not start a new text. An
            # answer that may depend on them is not saved to disk.
            persistent=not (is_private_path(request.path) or request.documents or readings.headers),
            tenant=tenant,
        ),
        limits=Limits(
            sampling=Sampling(length, request.temperature, seed=request.seed or 0),
            in_units=True,
            deadline=settings.deadline,
            n=request.n,
        ),
        stream=request.stream,
        client=request.client,
        sequence=request.sequence,
        cell_key=f"{request.path}\n{own.id or request.active}",
        session=session_of(request.path, tenant),
        automatic=request.trigger == "automatic",
        moves=True,
        asks_index=notebook_index is not None and request.trigger not in {"prefetch", "warmup"},
        is_judged=threshold > 0,
        replays=request.n == 1 and length > 0,
        evaluates_whole=False,
        known=_known(request, readings),
        names_may_leave=settings.engine_section.send_kernel_context,
        priority=_PRIORITIES.get(request.trigger, Priority.TYPING),
    )


def _known(request: Completion, readings: Readings) -> tuple[Item, ...] | None:
    """Return the texts that were read for the cursor; None if a text has to be generated.

    An automatic request returns a certain one or none. An explicit one returns as many as it asks for.
    """
    place, texts = readings.place, readings.texts
    if place is None or texts is None or request.trigger not in {"automatic", "invoke"}:
        return None
    is_invoked = request.trigger == "invoke"
    most = MOST_CHOICES if request.n > 1 else 1
    found = [written(place, text) for text in texts[:most]] if is_invoked else [certain_text(place, texts)]
    closed = request.suffix[: len(place.end)] == place.end
    rests = [text.removesuffix(place.end) if closed else text for text in found]
    confidence = 1 / len(texts) if is_invoked else 1.0
    items = tuple(
        Item(rest, confidence, "stop", number, is_read=True) for number, rest in enumerate(rests) if rest
    )
    may_be_new = not (place.must_exist or place.typed)  # so a text is generated
    return None if may_be_new and not items else items
