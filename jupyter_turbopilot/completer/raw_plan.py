"""The plan for a request from another protocol."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.cache.completion_cache import TAIL, CacheKey
from jupyter_turbopilot.completer.plan import Limits, Plan
from jupyter_turbopilot.completer.tenant import salted
from jupyter_turbopilot.engine.job import Priority
from jupyter_turbopilot.prompt.formats import Prompt
from jupyter_turbopilot.prompt.infill import build_infill, build_text, taken_apart
from jupyter_turbopilot.protocol.engine_request import ExactRequest, RawRequest
from jupyter_turbopilot.protocol.errors import ContextLengthError, UnknownTokenError
from jupyter_turbopilot.suggestion.writing import Verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_turbopilot.prompt.layout import Layout
    from jupyter_turbopilot.settings.config import Turbopilot

MAX_INTERACTIVE = 512  # tokens; users do not wait for longer texts while they type
TEXT_FACTOR = 12  # times the deadline of a completion
ENDLESS = 1 << 16  # tokens; the limit of requests without one, longer than any context


@dataclass(frozen=True, kw_only=True)
class RawPlan(Plan):
    """A plan with the client's own prompt, without trimming and gate."""

    request: RawRequest
    length: int  # tokens of the context that the prompt may not use

    def prompt(self, layout: Layout, max_tokens: int = 0) -> Prompt:  # noqa: ARG002 - for suggestions
        request, size = self.request, layout.context_size
        uncached = layout.vocabulary.tokenize  # for text that changes with each keystroke
        if request.window:
            return build_infill(layout.form, layout.tokenize, uncached, request, size, self.length)
        if isinstance(request.prompt, tuple):
            _check_ids(layout, request.prompt, "prompt")
        if request.exact:
            return _exact_prompt(request, request.exact, self.length, layout)
        sampling = replace(request.sampling, max_tokens=self.length)
        return build_text(layout.form, uncached, replace(request, sampling=sampling), size)

    def writing(self, *, waits: bool = True) -> Verbatim:  # noqa: ARG002 - for suggestions
        """Return an empty text, which ends at a stop text or at a lower indentation."""
        return Verbatim(self.request.stop, self.request.indent)


def plan_raw(request: RawRequest, settings: Turbopilot, tenant: str = "") -> RawPlan:
    """Plan a text for another protocol."""
    if isinstance(request.prompt, str) and request.suffix is None and (parts := taken_apart(request.prompt)):
        # The prompt is a fill-in-the-middle template.
        request = replace(request, prompt=parts.before, suffix=parts.after, context=parts.context)
    if not settings.engine_section.send_documents:
        request = replace(request, others=(), context=())
    exact, tenant = request.exact or ExactRequest(), salted(tenant, request.salt)
    before = request.prompt
    before = before + request.typed if isinstance(before, str) else str(before[-TAIL:])
    sampling, length = request.sampling, request.sampling.max_tokens
    if length < 0:
        # Generate until the model or the context ends the text; reserve some of the context for it.
        sampling, length = replace(sampling, max_tokens=ENDLESS), settings.max_tokens
    return RawPlan(
        request=request,
        length=length,
        cache_key=CacheKey(("text", request.window, request.suffix), before, tenant=tenant),
        limits=Limits(
            sampling=sampling,
            n=max(request.n, request.best_of),
            best=request.n,
            deadline=TEXT_FACTOR * settings.deadline,
            prompt_seconds=request.prompt_seconds,
            seconds=request.seconds,
        ),
        stream=request.stream,
        session=salted(request.session, tenant),
        priority=priority_of(request),
        automatic=exact.automatic,
        moves=request.exact is not None or (request.window and request.moves),
        exact=request.exact,
    )


def _exact_prompt(request: RawRequest, exact: ExactRequest, length: int, layout: Layout) -> Prompt:
    """Return the prompt with the ids that the client sent."""
    ids = [part for part in request.prompt if isinstance(part, int)]
    if len(ids) >= layout.context_size:
        raise ContextLengthError(layout.context_size, len(ids), max(1, length))
    _check_ids(layout, exact.hint, "draft")
    banned = request.sampling.beginning.banned
    _check_ids(layout, () if banned is None else (banned,), "banned_token")
    return Prompt(ids, suffix_span=exact.suffix_span, context_end=exact.context_end)


def priority_of(request: RawRequest) -> Priority:
    """Return the priority of a request. A user may wait at the cursor for a single text that is not long."""
    if request.prefetch:
        return Priority.WARMUP
    several = request.bulk or max(request.n, request.best_of) > 1
    long = not 0 <= request.sampling.max_tokens <= MAX_INTERACTIVE
    most = Priority.BULK if several or long else Priority.TEXT
    if not (request.exact and request.exact.urgency):
        return most
    asked = Priority[request.exact.urgency.upper()]
    # Another Turbopilot server sends the priority of its request, but bulk work stays bulk.
    return max(asked, most) if most is Priority.BULK else asked


def _check_ids(layout: Layout, parts: Iterable[int | str], field: str) -> None:
    """Reject unknown token ids: they would fail a whole batch."""
    ids = [part for part in parts if isinstance(part, int)]
    try:
        for token in ids:
            layout.vocabulary.piece(token)
    except IndexError:
        raise UnknownTokenError(token, field=field) from None
