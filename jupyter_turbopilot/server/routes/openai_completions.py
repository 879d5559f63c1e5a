"""OpenAI's completions: what is asked for, and how answers and errors are worded. No web server in it."""

from __future__ import annotations

import secrets
import time
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.generation import Sampling
from jupyter_turbopilot.raw_request import RawRequest, Stop
from jupyter_turbopilot.server.routes.deltas import Delta, log_probability, placed_tokens, token_text
from jupyter_turbopilot.server.routes.encoding import compact
from jupyter_turbopilot.server.routes.options import (
    MAX_PROMPTS,
    MAX_TEXTS,
    MOST_IDS,
    Ids,
    TokenId,
    biases,
    grammar,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.errors import TurbopilotError
    from jupyter_turbopilot.reply import Reply

Penalty = Annotated[float, Meta(ge=-2.0, le=2.0)]


class StreamOptions(msgspec.Struct, frozen=True):
    """Options of a streamed response."""

    include_usage: bool | None = None


class CopilotExtra(msgspec.Struct, frozen=True):
    """Fields that Copilot's clients send with a prompt. Others are ignored."""

    next_indent: Annotated[int, Meta(ge=0, le=4096)] | None = None
    trim_by_indentation: bool | None = None


class CompletionsBody(msgspec.Struct, frozen=True, kw_only=True):
    """`POST v1/completions`. Unknown fields are ignored."""

    prompt: str | Annotated[list[str | TokenId | Ids], Meta(max_length=MOST_IDS)] = "<|endoftext|>"
    model: str | None = None
    suffix: str | None = None
    max_tokens: Annotated[int, Meta(ge=-1, le=1 << 20)] | None = 16  # -1: to the end
    temperature: Annotated[float, Meta(ge=0.0, le=2.0)] | None = 1.0
    top_p: float | None = 1.0
    n: Annotated[int, Meta(ge=1, le=MAX_TEXTS)] | None = 1
    best_of: Annotated[int, Meta(ge=1, le=MAX_TEXTS)] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    echo: bool | None = False
    stop: Stop | Annotated[list[Stop], Meta(max_length=16)] | None = None
    presence_penalty: Penalty | None = 0.0
    frequency_penalty: Penalty | None = 0.0
    logit_bias: list[Any] | dict[str, Any] | None = None
    # What llama.cpp's server and others take here, too.
    n_predict: Annotated[int, Meta(ge=-1, le=1 << 20)] | None = None
    top_k: int = 0
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_penalty: Annotated[float, Meta(gt=0.0, le=100.0)] = 1.0
    ignore_eos: bool = False
    grammar: Annotated[str, Meta(max_length=65536)] | None = None
    json_schema: dict[str, Any] | None = None
    seed: int | None = None
    user: str | None = None
    extra: CopilotExtra | None = None

    def prompts(self) -> list[str | tuple[int, ...]]:
        """Return each prompt: a text or the ids of its tokens."""
        if isinstance(self.prompt, str):
            return ["" if self.prompt == "<|endoftext|>" else self.prompt]
        kinds = {type(part) for part in self.prompt}
        if kinds == {int}:
            return [tuple(part for part in self.prompt if isinstance(part, int))]
        if len(kinds) != 1 or len(self.prompt) > MAX_PROMPTS:
            raise BadRequestError(
                f"Send a text, token ids, or a list of at most {MAX_PROMPTS}, all texts or all token ids.",
                field="prompt",
            )
        return [tuple(part) if isinstance(part, list) else str(part) for part in self.prompt]

    def texts(self) -> list[RawRequest]:
        """Return what is to be written."""
        n, best_of = self.n or 1, self.best_of or self.n or 1
        if best_of < n:
            raise BadRequestError("best_of must be at least n.", field="best_of")
        if self.stream and best_of > n:
            raise BadRequestError(
                "best_of above n cannot be streamed. Leave out best_of or stream.", field="best_of"
            )
        sampling = Sampling(
            max_tokens=self._length(),
            temperature=1.0 if self.temperature is None else self.temperature,
            top_k=min(max(0, self.top_k), 1 << 30),
            min_p=min(max(0.0, self.min_p), 1.0),
            typical_p=min(max(0.0, self.typical_p), 1.0),
            repeat_penalty=self.repeat_penalty,
            ignore_end=self.ignore_eos,
            top_p=1.0 if self.top_p is None else min(max(0.0, self.top_p), 1.0),
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            penalty_last_n=-1,
            logit_bias=biases(self.logit_bias or []),
            grammar=grammar(self.grammar or "", self.json_schema),
            seed=secrets.randbits(31) if self.seed is None else self.seed & 0xFFFFFFFF,
            top=self.logprobs or 0,
        )
        extra = self.extra
        prompts = self.prompts()
        return [
            RawRequest(
                prompt=prompt,
                suffix=self.suffix or None,
                sampling=sampling,
                stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
                indent=(extra.next_indent or 0) if extra and extra.trim_by_indentation else 0,
                n=n,
                best_of=best_of,
                stream=bool(self.stream),
                cut=extra is not None and not self.echo,  # what is sent back is as long as was read
                bulk=len(prompts) > 1,
            )
            for prompt in prompts
        ]

    def _length(self) -> int:
        length = self.max_tokens if self.n_predict is None else self.n_predict
        return 16 if length is None else length


@cache
def _fingerprint() -> str:
    """Say which system answers, as far as that changes answers."""
    return f"jupyter-turbopilot-{version('jupyter-turbopilot')}"


class Wording:
    """One answer, as OpenAI words it."""

    def __init__(self, body: CompletionsBody, piece: Callable[[int], bytes]) -> None:
        self.body = body
        self._piece = piece
        self._prompts = body.prompts()
        self._n = body.n or 1
        self._head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "system_fingerprint": _fingerprint(),
        }
        self._echoed: set[int] = set()

    def whole(self, replies: list[Reply]) -> bytes:
        """Write the whole answer, its texts one by one: with their chances they may be long."""
        choices = []
        for number, reply in enumerate(replies):
            for item in reply.items:
                delta = Delta(item, item.text, tuple(placed_tokens(item)), last=True)
                choices.append(msgspec.Raw(compact(self._choice(number, delta))))
        model = replies[0].model if replies else ""
        return compact(self._head | {"model": model, "choices": choices, "usage": _usage(replies)})

    def chunk(self, number: int, model: str, delta: Delta) -> dict[str, Any]:
        """Return the event that sends what is new."""
        usage = {"usage": None} if self.body.stream_options else {}
        return self._head | {"model": model, "choices": [self._choice(number, delta)]} | usage

    def usage_chunk(self, replies: list[Reply]) -> dict[str, Any]:
        """Return the event that says what it cost."""
        return self._head | {"model": replies[0].model, "choices": [], "usage": _usage(replies)}

    def _choice(self, number: int, delta: Delta) -> dict[str, Any]:
        index = number * self._n + delta.item.index
        echo, ids = self._echo(number) if self.body.echo else ("", ())
        text = delta.text if index in self._echoed else echo + delta.text
        logprobs = None
        if self.body.logprobs is not None:
            logprobs = self._logprobs(delta, () if index in self._echoed else ids, len(echo))
        self._echoed.add(index)
        reason = {"streaming": None, "stop": "stop"}.get(delta.item.finish_reason, "length")
        return {
            "text": text,
            "index": index,
            "logprobs": logprobs,
            "finish_reason": reason if delta.last else None,
        }

    def _echo(self, number: int) -> tuple[str, tuple[int, ...]]:
        prompt = self._prompts[number]
        if isinstance(prompt, str):
            return prompt, ()
        return b"".join(self._piece(token) for token in prompt).decode("utf-8", "replace"), prompt

    def _logprobs(self, delta: Delta, prompt: tuple[int, ...], start: int) -> dict[str, Any]:
        """Return the tokens with their probabilities; the prompt's have none: the model was not asked."""
        columns: dict[str, list[Any]] = {
            "tokens": [],
            "token_logprobs": [],
            "top_logprobs": [],
            "text_offset": [],
        }

        def add(*values: Any) -> None:
            for name, value in zip(columns, values, strict=True):
                columns[name].append(value)

        at = 0
        for token in prompt:
            text = self._piece(token).decode("utf-8", "replace")
            add(text, None, None, at)
            at += len(text)
        for placed in delta.tokens:
            name, chance = token_text(placed.token.data), log_probability(placed.token)
            top = {token_text(self._piece(token)): value for token, value in placed.token.top}
            add(name, chance, {**top, name: chance} if top else {}, start + placed.offset)
        return columns


def _usage(replies: list[Reply]) -> dict[str, int]:
    read = sum(reply.timings.prompt_tokens for reply in replies)
    wrote = sum(reply.timings.predicted_tokens for reply in replies)
    return {"prompt_tokens": read, "completion_tokens": wrote, "total_tokens": read + wrote}


def error_body(error: TurbopilotError, param: str | None) -> dict[str, Any]:
    """Return the body of an error; `param` is the field of the request that is wrong."""
    code = {"unauthenticated": "invalid_api_key", "busy": "rate_limit_exceeded"}.get(error.code, error.code)
    return {"error": {"message": error.message, "type": error.kind, "param": param, "code": code}}


def model_list(name: str) -> dict[str, Any]:
    """Return the list of models: the one that answers, or none where there is no name."""
    model = {"id": name, "object": "model", "created": 0, "owned_by": "jupyter-turbopilot"}
    return {"object": "list", "data": [model] if name else []}
