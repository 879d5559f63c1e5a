"""The plan for another protocol's text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.cache.results import TAIL, Place
from jupyter_turbopilot.completer.plan import Plan
from jupyter_turbopilot.engine.job import Priority
from jupyter_turbopilot.errors import ContextLengthError, UnknownTokenError
from jupyter_turbopilot.generation import ExactAsk, RawRequest
from jupyter_turbopilot.prompt.formats import Prompt
from jupyter_turbopilot.prompt.infill import build_infill, build_text, taken_apart
from jupyter_turbopilot.suggestion.writing import Verbatim

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.prompt.layout import Layout

MOST_TYPED = 512  # tokens: nobody waits for a longer answer at a cursor
ENDLESS = 1 << 16  # tokens of an answer that nobody has set a limit to: no context is longer


@dataclass(frozen=True, kw_only=True)
class RawPlan(Plan):
    """What another protocol's text needs: its own prompt, the model's own words, no gate."""

    request: RawRequest
    length: int  # tokens that the prompt leaves room for

    def prompt(self, engine: Engine, layout: Layout) -> Prompt:
        """Lay the prompt out for an engine."""
        request, size = self.request, engine.context_size
        fresh = engine.vocabulary.tokenize
        # What changes with each key is not worth remembering.
        if request.window:
            return build_infill(layout.form, layout.tokenize, fresh, request, size, self.length)
        if isinstance(request.prompt, tuple):
            _check_ids(engine, request.prompt, "prompt")
        if request.exact:
            return _exact_prompt(request, request.exact, self.length, engine)
        sampling = replace(request.sampling, max_tokens=self.length)
        return build_text(layout.form, fresh, replace(request, sampling=sampling), size)

    def writing(self) -> Verbatim:
        """Begin a text that ends at a stop text, and where it is indented less than asked for."""
        return Verbatim(self.request.stop, self.request.indent)


def plan_raw(request: RawRequest, settings: Turbopilot) -> RawPlan:
    """Plan a text for another protocol."""
    request = _laid_open(request)
    if settings.engine == "remote" and not settings.remote.send_documents:
        request = replace(request, others=(), context=())
    exact = request.exact or ExactAsk()
    sampling, length = request.sampling, request.sampling.max_tokens
    if length < 0:
        # To the model's own end or the context's; the prompt leaves some room for that.
        sampling, length = replace(sampling, max_tokens=ENDLESS), settings.max_tokens
    return RawPlan(
        request=request,
        length=length,
        place=Place(("text", request.window, request.suffix), _before(request)),
        sampling=sampling,
        n=max(request.n, request.best_of),
        best=request.n,
        stream=request.stream,
        deadline=settings.text_deadline,
        prompt_seconds=request.prompt_seconds,
        seconds=request.seconds,
        answers=False,
        priority=priority_of(request),
        language=exact.language,
        moves=settings.move_suffix and request.exact is not None,
        exact=request.exact is not None,
        hint=exact.hint,
        aligned=exact.aligned,
    )


def _exact_prompt(request: RawRequest, exact: ExactAsk, length: int, engine: Engine) -> Prompt:
    """Take the ids that were sent; the text ends with the context, if not before."""
    ids = [part for part in request.prompt if isinstance(part, int)]
    if len(ids) >= engine.context_size:
        raise ContextLengthError(engine.context_size, len(ids), max(1, length))
    _check_ids(engine, exact.hint, "hint")
    banned = request.sampling.beginning.banned
    _check_ids(engine, () if banned is None else (banned,), "banned")
    return Prompt(ids, suffix_span=exact.suffix_span)


def _laid_open(request: RawRequest) -> RawRequest:
    """Take a fill-in-the-middle template apart that a client wrote into its prompt."""
    if not isinstance(request.prompt, str) or request.suffix is not None:
        return request
    if not (hole := taken_apart(request.prompt)):
        return request
    return replace(request, prompt=hole.before, suffix=hole.after, context=hole.context)


def _before(request: RawRequest) -> str:
    """Return what stands before the text: its end says where an answer belongs."""
    if isinstance(request.prompt, str):
        return request.prompt + request.typed
    return str(request.prompt[-TAIL:])


def priority_of(request: RawRequest) -> Priority:
    """Say how urgent a text is: whoever asks for a single one of some length may be typing."""
    if request.ahead:
        return Priority.WARM
    several = request.bulk or max(request.n, request.best_of) > 1
    long = not 0 <= request.sampling.max_tokens <= MOST_TYPED
    most = Priority.BULK if several or long else Priority.TEXT
    if not (request.exact and request.exact.urgency):
        return most
    asked = Priority[request.exact.urgency.upper()]
    # Another server of ours says who waits; anybody may type here, too, but not several texts.
    return max(asked, most) if most is Priority.BULK else asked


def _check_ids(engine: Engine, parts: Iterable[int | str], field: str) -> None:
    """Refuse ids of tokens that the model does not have: in a batch they would fail everybody."""
    ids = [part for part in parts if isinstance(part, int)]
    try:
        for token in ids:
            engine.vocabulary.piece(token)
    except IndexError:
        raise UnknownTokenError(token, field=field) from None
