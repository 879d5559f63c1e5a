"""Request bodies and responses of OpenAI's completions. Independent of the web server."""

from __future__ import annotations

import secrets
import time
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from jupyter_turbopilot.engine.peer import MAX_LOGPROBS, PeerOptions, TokenId
from jupyter_turbopilot.plugins.protocols.deltas import Delta, log_probability, placed_tokens, token_text
from jupyter_turbopilot.plugins.protocols.options import (
    MAX_IDS,
    MAX_PROMPTS,
    MAX_TEXTS,
    Ids,
    SamplingOptions,
)
from jupyter_turbopilot.protocol.engine_request import PrefixConstraint, RawRequest
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.reply import compact
from jupyter_turbopilot.protocol.request import Stop  # noqa: TC001 - read by msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.protocol.engine_request import ExactRequest
    from jupyter_turbopilot.protocol.reply import Reply

Penalty = Annotated[float, Meta(ge=-2.0, le=2.0)]


class StreamOptions(msgspec.Struct, frozen=True):
    """Options of a streamed response."""

    include_usage: bool | None = None


class CopilotExtra(msgspec.Struct, frozen=True):
    """Fields that Copilot's clients send with a prompt. Others are ignored."""

    next_indent: Annotated[int, Meta(ge=0, le=4096)] | None = None
    trim_by_indentation: bool | None = None


class CompletionsBody(SamplingOptions, frozen=True, kw_only=True):
    """`POST v1/completions`. Unknown fields are ignored."""

    prompt: str | Annotated[list[str | TokenId | Ids], Meta(max_length=MAX_IDS)] = "<|endoftext|>"
    model: str | None = None
    suffix: str | None = None
    max_tokens: Annotated[int, Meta(ge=-1, le=1 << 20)] | None = 16  # -1: to the end
    temperature: Annotated[float, Meta(ge=0.0, le=2.0)] | None = 1.0
    top_p: float | None = 1.0
    n: Annotated[int, Meta(ge=1, le=MAX_TEXTS)] | None = 1
    best_of: Annotated[int, Meta(ge=1, le=MAX_TEXTS)] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    logprobs: Annotated[int, Meta(ge=0, le=MAX_LOGPROBS)] | None = None
    return_tokens_as_token_ids: bool = False  # vLLM: "token_id:123" instead of a token's text
    echo: bool | None = False
    stop: Stop | Annotated[list[Stop], Meta(max_length=16)] | None = None
    presence_penalty: Penalty | None = 0.0
    frequency_penalty: Penalty | None = 0.0
    # Options of llama.cpp's server and others.
    n_predict: Annotated[int, Meta(ge=-1, le=1 << 20)] | None = None
    top_k: int = 0
    min_p: float = 0.0
    repeat_last_n: Annotated[int, Meta(ge=-1, le=1 << 20)] = -1
    cache_salt: Annotated[str, Meta(max_length=256)] | None = None  # vLLM
    seed: int | None = None
    user: str | None = None
    extra: CopilotExtra | None = None
    turbopilot: PeerOptions | None = None

    def prompts(self) -> list[str | tuple[int, ...]]:
        """Return the prompts, each a text or token ids."""
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
        """Return the requests, one for each prompt."""
        n, best_of = self.n or 1, self.best_of or self.n or 1
        if best_of < n:
            raise BadRequestError("best_of must be at least n.", field="best_of")
        if self.stream and best_of > n:
            raise BadRequestError(
                "best_of above n cannot be streamed. Leave out best_of or stream.", field="best_of"
            )
        length = self.max_tokens if self.n_predict is None else self.n_predict
        sampling = self.sampling_with(
            max_tokens=16 if length is None else length,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else min(max(0.0, self.top_p), 1.0),
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            seed=secrets.randbits(31) if self.seed is None else self.seed & 0xFFFFFFFF,
            top=self.logprobs or 0,
            beginning=self.turbopilot.beginning() if self.turbopilot else PrefixConstraint(),
        )
        extra = self.extra
        prompts = self.prompts()
        exact = self._exact(prompts)
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
                cut=extra is not None and not self.echo,  # an echoed prompt must not be truncated
                bulk=len(prompts) > 1,
                exact=exact,
                salt=self.cache_salt or "",
            )
            for prompt in prompts
        ]

    def _exact(self, prompts: Sequence[str | tuple[int, ...]]) -> ExactRequest | None:
        """Return the options of another Turbopilot server, which sends complete prompts."""
        if self.turbopilot is None:
            return None
        if len(prompts) > 1 or isinstance(prompts[0], str):
            raise BadRequestError(
                "With the field turbopilot, send the prompt as one list of token ids.", field="prompt"
            )
        if self.suffix is not None:
            raise BadRequestError(
                "With the field turbopilot, put the suffix into the prompt.", field="suffix"
            )
        if not prompts[0]:
            raise BadRequestError(
                "With the field turbopilot, the prompt must have at least one token id.", field="prompt"
            )
        return self.turbopilot.exact(len(prompts[0]))


@cache
def _fingerprint(engine: str) -> str:
    """Return OpenAI's `system_fingerprint`: the version and the engine."""
    return f"jupyter-turbopilot-{version('jupyter-turbopilot')}{engine and ':'}{engine}"


class CompletionFormat:
    """One response in OpenAI's format."""

    def __init__(self, body: CompletionsBody, piece: Callable[[int], bytes], engine: str = "") -> None:
        """`engine`: the digest of the engine's identity."""
        self.body = body
        self._piece = piece
        self._prompts = body.prompts()
        self._n = body.n or 1
        self._head = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "system_fingerprint": _fingerprint(engine),
        }
        self._echoed: set[int] = set()

    @property
    def include_hidden(self) -> bool:
        """Return whether to include tokens without visible text: clients that request ids decode them."""
        return self.body.return_tokens_as_token_ids

    def whole(self, replies: list[Reply]) -> bytes:
        """Encode the response one choice at a time: with logprobs they may be large."""
        choices = []
        for number, reply in enumerate(replies):
            for item in reply.items:
                delta = Delta(
                    item, item.text, tuple(placed_tokens(item, include_hidden=self.include_hidden)), last=True
                )
                choices.append(msgspec.Raw(compact(self._choice(number, delta))))
        model = replies[0].model if replies else ""
        return compact(self._head | {"model": model, "choices": choices, "usage": _usage(replies)})

    def chunk(self, number: int, reply: Reply, delta: Delta) -> dict[str, Any]:
        """Return the event for a delta."""
        usage: dict[str, Any] = {"usage": None} if self.body.stream_options else {}
        if self.body.turbopilot and not self._echoed:
            usage = {"usage": _usage([reply])}  # the client may disconnect before the end
        return self._head | {"model": reply.model, "choices": [self._choice(number, delta)]} | usage

    def usage_chunk(self, replies: list[Reply]) -> dict[str, Any]:
        """Return the event with the usage."""
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

    def _name(self, token: int, text: str) -> str:
        """Return the name of a token in the response: its text, or its id."""
        return f"token_id:{token}" if self.body.return_tokens_as_token_ids else text

    def _logprobs(self, delta: Delta, prompt: tuple[int, ...], start: int) -> dict[str, Any]:
        """Return OpenAI's `logprobs`; tokens of an echoed prompt have none."""
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
            add(self._name(token, text), None, None, at)
            at += len(text)
        for placed in delta.tokens:
            name = self._name(placed.token.id, token_text(placed.token.data))
            chance = log_probability(placed.token)
            top = {
                self._name(token, token_text(self._piece(token))): value for token, value in placed.token.top
            }
            # With a prefix constraint, a token's probability among the allowed tokens may exceed the model's.
            add(name, chance, top | {name: top.get(name, chance)} if top else {}, start + placed.offset)
        return columns


def _usage(replies: list[Reply]) -> dict[str, Any]:
    read = sum(reply.timings.prompt_tokens for reply in replies)
    wrote = sum(reply.timings.predicted_tokens for reply in replies)
    return {
        "prompt_tokens": read,
        "completion_tokens": wrote,
        "total_tokens": read + wrote,
        "prompt_tokens_details": {"cached_tokens": sum(reply.timings.cached_tokens for reply in replies)},
    }
