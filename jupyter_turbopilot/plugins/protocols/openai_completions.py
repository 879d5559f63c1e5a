"""Request bodies of OpenAI's completions. Independent of the web server."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from jupyter_turbopilot.plugins.protocols.options import (
    MAX_IDS,
    MAX_PROMPTS,
    MAX_TEXTS,
    Ids,
    SamplingOptions,
    TokenId,
)
from jupyter_turbopilot.plugins.protocols.turbopilot import MAX_LOGPROBS, PeerOptions
from jupyter_turbopilot.protocol.engine_request import PrefixConstraint, RawRequest
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.request import Stop  # noqa: TC001 - read by msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.protocol.engine_request import ExactRequest

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
