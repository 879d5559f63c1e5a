"""The protocol of llama.cpp's server, used by llama.vim, llama.vscode and many others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_turbopilot.jupyter.routes.admission import admit_texts
from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.jupyter.routes.endpoint import CodeEndpoint, Endpoint
from jupyter_turbopilot.jupyter.routes.jobs import vocabulary_of
from jupyter_turbopilot.jupyter.routes.streams import send_events
from jupyter_turbopilot.plugins.protocols.body import read_body
from jupyter_turbopilot.plugins.protocols.deltas import Delta, Deltas, placed_tokens, probabilities
from jupyter_turbopilot.plugins.protocols.options import CompletionBody, InfillBody
from jupyter_turbopilot.protocol.phase import Phase
from jupyter_turbopilot.protocol.reply import compact

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from jupyter_turbopilot.engine.worker import Worker
    from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
    from jupyter_turbopilot.jupyter.routes.jobs import Completions
    from jupyter_turbopilot.plugins.protocols.deltas import PlacedToken
    from jupyter_turbopilot.protocol.engine_request import RawRequest, Sampling
    from jupyter_turbopilot.protocol.reply import Item, Reply


async def _generate(route: Route, body: CompletionBody | InfillBody) -> None:
    """Admit a request, and send its completions."""
    texts = body.texts()
    completions = admit_texts(route, texts, in_turn=body.stream)
    formatter = _Format(body, texts[0].sampling, route.pilot)
    if body.stream:
        await send_events(route, _events(completions, texts, formatter))
    else:
        route.answer(await route.run(formatter.whole, await completions.final_replies(texts)))


async def _events(
    completions: Completions, texts: list[RawRequest], formatter: _Format
) -> AsyncGenerator[dict[str, Any]]:
    """Yield the events of the completions, one prompt after the other."""
    for number, text in enumerate(texts):
        deltas = Deltas()
        async for _, reply in await completions.batch([text]):
            fresh = deltas.of(reply)
            if reply.done:
                left = {delta.item.index: delta.text for delta in fresh}
                for item in reply.items or (None,):
                    content = left.get(item.index, "") if item else ""
                    yield formatter.last(number, reply, item) | {"content": content}
                break
            for delta in fresh:
                yield formatter.event(number, reply, delta)


class _Format:
    """The response to one request."""

    def __init__(self, body: CompletionBody | InfillBody, sampling: Sampling, pilot: Pilot) -> None:
        self._body = body
        self._settings = body.settings(sampling)  # repeated in each completion of the response
        self._pilot = pilot

    def whole(self, replies: list[Reply]) -> bytes:
        """Encode the response one completion at a time: with `n_probs` they may be large."""
        texts = [
            compact(self.last(number, reply, item))
            for number, reply in enumerate(replies)
            for item in reply.items or (None,)
        ]
        return b"[%b]" % b",".join(texts) if len(texts) > 1 else texts[0]

    def event(self, number: int, reply: Reply, delta: Delta) -> dict[str, Any]:
        """Return the event for a delta."""
        event: dict[str, Any] = {
            "index": number * self._body.n_cmpl + delta.item.index,
            "content": delta.text,
            "tokens": [placed.token.id for placed in delta.tokens],
            "stop": False,
            "id_slot": 0,
            "tokens_predicted": len(delta.item.tokens),
            "tokens_evaluated": reply.timings.prompt_tokens,
        }
        if self._body.n_probs:
            event["completion_probabilities"] = self._probabilities(delta.tokens)
        return event

    def last(self, number: int, reply: Reply, item: Item | None) -> dict[str, Any]:
        """Return the last event of a completion, or the complete one if it is not streamed."""
        body, event = self._body, final_event(reply, item)
        event["index"] = number * body.n_cmpl + (item.index if item else 0)
        tokens = placed_tokens(item) if item else []
        if body.return_tokens and not body.stream:
            event["tokens"] = [placed.token.id for placed in tokens]
        if body.n_probs and not body.stream:
            chances = self._probabilities(tokens)
            event["completion_probabilities"] = [msgspec.Raw(compact(chance)) for chance in chances]
        event["generation_settings"] = self._settings
        return only(event, body.response_fields)

    def _probabilities(self, tokens: Sequence[PlacedToken]) -> list[dict[str, Any]]:
        piece = vocabulary_of(self._pilot).piece
        return probabilities(tokens, piece, drawn=self._body.post_sampling_probs)


def final_event(reply: Reply, item: Item | None) -> dict[str, Any]:
    """Return the last event with llama.cpp's fields: the finish reason and the timings."""
    timings = reply.timings
    evaluated = timings.prompt_tokens - timings.cached_tokens
    wrote = len(item.tokens) if item and len(reply.items) > 1 else timings.predicted_tokens
    return {
        "index": 0,
        "content": item.text if item else "",
        "tokens": [],
        "id_slot": 0,
        "stop": True,
        "model": reply.model,
        "tokens_predicted": wrote,
        "tokens_evaluated": timings.prompt_tokens,
        "tokens_cached": timings.prompt_tokens + max(0, wrote - 1),  # the last token has not been evaluated
        "truncated": reply.truncated,
        "has_new_line": bool(item and "\n" in item.text),
        "stop_type": _stop_type(item),
        "stopping_word": item.stopped_by if item else "",
        "timings": {
            "cache_n": timings.cached_tokens,
            "prompt_n": evaluated,
            "prompt_ms": timings.prompt_ms,
            "prompt_per_token_ms": timings.prompt_ms / max(1, evaluated),
            "prompt_per_second": 1000 * evaluated / max(1e-3, timings.prompt_ms),
            "predicted_n": wrote,
            "predicted_ms": timings.predicted_ms,
            "predicted_per_token_ms": timings.predicted_ms / max(1, wrote),
            "predicted_per_second": 1000 * wrote / max(1e-3, timings.predicted_ms),
            "draft_n": timings.drafted_tokens,
            "draft_n_accepted": timings.accepted_tokens,
        },
    }


def _stop_type(item: Item | None) -> str:
    if item is None:
        return "limit"
    if item.stopped_by:
        return "word"
    return "eos" if item.finish_reason == "stop" else "limit"


def only(body: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    """Return the requested fields; `a/b` is the field `b` of the object `a`."""
    if not fields:
        return body
    selected: dict[str, Any] = {}
    for name in fields:
        value: Any = body
        for key in name.split("/"):
            value = value.get(key, msgspec.UNSET) if isinstance(value, dict) else msgspec.UNSET
        if value is not msgspec.UNSET:
            selected[name] = value
    return selected


class CompletionRoute(Route):
    """`POST completion`."""

    @CodeEndpoint(CompletionBody, read=read_body)
    async def post(self, body: CompletionBody) -> None:
        """Continue a prompt."""
        await _generate(self, body)


class InfillRoute(Route):
    """`POST infill`."""

    @CodeEndpoint(InfillBody, read=read_body)
    async def post(self, body: InfillBody) -> None:
        """Fill in the text between a prefix and a suffix."""
        await _generate(self, body)


def _context_size(worker: Worker) -> int:
    """Return the context size of the loaded model, or 0."""
    return worker.engine.context_size if worker.engine else 0


class PropsRoute(Route):
    """`GET props`."""

    @Endpoint()
    async def get(self) -> None:
        """Return the name of the loaded model and its defaults, without any paths."""
        state = self.pilot.worker.state
        self.answer(
            {
                "model_path": state.model,
                "model_alias": state.model,
                "total_slots": 1,
                "default_generation_settings": {
                    "n_ctx": _context_size(self.pilot.worker),
                    "params": {"n_predict": -1},
                },
                "modalities": {"vision": False, "audio": False},
                "is_sleeping": state.phase is Phase.UNLOADED,
            }
        )


class SlotsRoute(Route):
    """`GET slots`."""

    @Endpoint()
    async def get(self) -> None:
        """Return whether a request is being processed, without its content."""
        worker = self.pilot.worker
        busy = worker.state.phase is Phase.GENERATING
        self.answer([{"id": 0, "n_ctx": _context_size(worker), "is_processing": busy}])
