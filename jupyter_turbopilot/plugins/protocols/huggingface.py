"""The protocol of Hugging Face's text generation, at TurboPilot's path `api/generate`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from jupyter_turbopilot.jupyter.routes.admission import admit_texts
from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.jupyter.routes.endpoint import CodeEndpoint
from jupyter_turbopilot.jupyter.routes.streams import send_events
from jupyter_turbopilot.plugins.protocols.deltas import (
    Deltas,
    PlacedToken,
    log_probability,
    placed_tokens,
    token_text,
)
from jupyter_turbopilot.protocol.engine_request import RawRequest, Sampling
from jupyter_turbopilot.protocol.request import Stop  # noqa: TC001 - read by msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from jupyter_turbopilot.jupyter.routes.jobs import Completions
    from jupyter_turbopilot.protocol.errors import TurbopilotError
    from jupyter_turbopilot.protocol.reply import Item, Reply


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Generation parameters. Unknown fields are ignored."""

    max_new_tokens: Annotated[int, Meta(ge=0, le=1 << 16)] | None = 100
    do_sample: bool | None = None
    temperature: Annotated[float, Meta(ge=0.0, le=100.0)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=1 << 20)] | None = None
    top_p: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None
    typical_p: Annotated[float, Meta(ge=0.0, le=1.0)] | None = None
    repetition_penalty: Annotated[float, Meta(gt=0.0, le=100.0)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-100.0, le=100.0)] | None = None
    seed: int | None = None
    stop: Annotated[list[Stop], Meta(max_length=64)] | None = None
    stop_sequences: Annotated[list[Stop], Meta(max_length=64)] | None = None
    best_of: Annotated[int, Meta(ge=1, le=16)] | None = None
    top_n_tokens: Annotated[int, Meta(ge=0, le=20)] | None = None
    return_full_text: bool | None = None
    details: bool | None = None

    def sampling(self, seed: int) -> Sampling:
        """Return the sampling options; greedy unless a parameter requests sampling."""
        draws = self.do_sample or bool(self.temperature or self.top_k or self.top_p or self.best_of)
        if self.do_sample is False or self.temperature == 0:
            draws = False
        return Sampling(
            max_tokens=100 if self.max_new_tokens is None else self.max_new_tokens,
            temperature=(self.temperature or 1.0) if draws else 0.0,
            top_k=self.top_k or 0,
            top_p=1.0 if self.top_p is None else self.top_p,
            typical_p=1.0 if self.typical_p is None else self.typical_p,
            repeat_penalty=self.repetition_penalty or 1.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            penalty_last_n=-1,
            seed=seed,
            top=self.top_n_tokens or 0,
        )


class GenerateBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST api/generate`."""

    inputs: str
    parameters: Parameters | None = None
    stream: bool | None = False


def _error_body(error: TurbopilotError) -> dict[str, Any]:
    """Return an error in Hugging Face's format."""
    kinds = {400: "validation", 401: error.kind, 429: "overloaded", 503: "overloaded"}
    return {"error": error.message, "error_type": kinds.get(error.status, "generation")} | error.retry()


class GenerateRoute(Route):
    """`POST api/generate`."""

    error_body = staticmethod(_error_body)

    @CodeEndpoint(GenerateBody)
    async def post(self, body: GenerateBody) -> None:
        """Continue a prompt."""
        options = body.parameters or Parameters()
        seed = secrets.randbits(31) if options.seed is None else options.seed & 0xFFFFFFFF
        text = RawRequest(
            prompt=body.inputs,
            sampling=options.sampling(seed),
            stop=(*(options.stop or ()), *(options.stop_sequences or ())),
            best_of=1 if body.stream else options.best_of or 1,
            stream=bool(body.stream),
        )
        head = body.inputs if options.return_full_text else ""
        completions = admit_texts(self, [text])
        if body.stream:
            await send_events(self, _events(completions, text, head, seed))
            return
        (reply,) = await completions.final_replies([text])
        item = reply.items[0]
        answer: dict[str, Any] = {"generated_text": head + item.text}
        if options.details:
            answer["details"] = _details(item, reply, seed) | {
                "prefill": [],
                "tokens": [_token(token) for token in placed_tokens(item)],
            }
        self.answer(answer)


async def _events(
    completions: Completions, text: RawRequest, head: str, seed: int
) -> AsyncGenerator[dict[str, Any]]:
    """Yield an event for each token."""
    deltas, number = Deltas(), 0
    async for _, reply in await completions.batch([text]):
        for delta in deltas.of(reply):
            tokens = [_token(token) for token in delta.tokens]
            if not tokens and delta.last:
                tokens = [{"id": 0, "text": "", "logprob": 0.0, "special": True}]
            for at, token in enumerate(tokens):
                number += 1
                event: dict[str, Any] = {"index": number, "token": token}
                event |= {"generated_text": None, "details": None}
                if delta.last and at == len(tokens) - 1:
                    event["generated_text"] = head + delta.item.text
                    event["details"] = _details(delta.item, reply, seed)
                yield event


def _token(placed: PlacedToken) -> dict[str, Any]:
    return {
        "id": placed.token.id,
        "text": placed.text or token_text(placed.token.data),
        "logprob": log_probability(placed.token),
        "special": False,
    }


def _details(item: Item, reply: Reply, seed: int) -> dict[str, Any]:
    reason = "stop_sequence" if item.stopped_by else "eos_token" if item.finish_reason == "stop" else "length"
    return {
        "finish_reason": reason,
        "generated_tokens": reply.timings.predicted_tokens,
        "input_length": reply.timings.prompt_tokens,
        "seed": seed,
    }
