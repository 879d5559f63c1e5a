"""The dialect of OpenAI's completions protocol. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from jupyter_turbopilot.engine.peer import PeerOptions
from jupyter_turbopilot.plugins.remote.dialect import (
    LENGTH,
    Dialect,
    EventContent,
    Request,
    Style,
    likeliest,
    piece,
    probability,
    read_json,
    sampling_fields,
    spread,
    text_prompt,
)
from jupyter_turbopilot.plugins.remote.errors import InvalidAnswerError
from jupyter_turbopilot.plugins.remote.remote_server import Kind
from jupyter_turbopilot.protocol.engine_request import Token

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.plugins.remote.remote_server import RemoteServer
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling

_ID = re.compile(r"token_id:(\d{1,9})", re.ASCII)
_STYLES: dict[Kind, Style] = {Kind.OURS: "llama", Kind.VLLM: "vllm"}


class _Logprobs(msgspec.Struct, frozen=True):
    """The tokens of a part of a text."""

    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float | None] | None] | None = None


class _Choice(msgspec.Struct, frozen=True):
    """A part of a text."""

    text: str = ""
    index: int = 0
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _Details(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens_details: _Details | None = None


class _Chunk(msgspec.Struct, frozen=True):
    """An event of an answer."""

    choices: list[_Choice] = []
    model: str | None = ""
    usage: _Usage | None = None
    system_fingerprint: str | None = None


@dataclass
class OpenAIDialect(Dialect):
    """The protocol of Turbopilot servers, which accept all fields, vLLM and compatible servers."""

    server: RemoteServer = field(kw_only=True)

    @property
    def style(self) -> Style:
        return _STYLES.get(self.server.kind, "openai") if self.vocabulary else "openai"

    @property
    def _is_turbopilot(self) -> bool:
        return bool(self.vocabulary) and self.server.kind is Kind.OURS

    def request(self, request: EngineRequest) -> Request | None:
        sampling = request.sampling
        body = sampling_fields(sampling, self.style) | {"stream": True}
        # Only Turbopilot servers accept 0.
        body["max_tokens"] = sampling.max_tokens if self._is_turbopilot else max(1, sampling.max_tokens)
        if self.server.model:
            body["model"] = self.server.model
        if request.tenant and self.server.kind is not Kind.PROVIDER:
            # This separates the cached prompts of tenants. An unknown server may be vLLM, such as Ray's
            # `serve.llm`: an error is better than a shared cache.
            body["cache_salt"] = request.tenant
        if self.vocabulary:
            if "logit_bias" in body:  # a router may accept only OpenAI's format
                body["logit_bias"] = _biases(sampling, self.vocabulary)
            body |= {"prompt": list(request.prompt), "logprobs": sampling.top}
            body["return_tokens_as_token_ids"] = True
            if self._is_turbopilot:
                body["turbopilot"] = PeerOptions.of(request)
        else:
            prompt = text_prompt(request.prompt)
            if prompt is None:
                return None
            body["prompt"] = prompt.before
            if prompt.after is not None:
                body["suffix"] = prompt.after
            if self.logprobs:
                body["logprobs"] = 1
        return Request(self.server.route, body, request.session)

    def read(self, data: bytes) -> EventContent:
        chunk = read_json(data, _Chunk)
        choices = [choice for choice in chunk.choices if not choice.index]
        reasons = {choice.finish_reason for choice in choices}
        details = chunk.usage.prompt_tokens_details if chunk.usage else None
        return EventContent(
            [token for choice in choices for token in self._tokens(choice)],
            any(reasons),
            chunk.model or "",
            details.cached_tokens if details else None,
            cut=LENGTH in reasons,
            version=(chunk.system_fingerprint or "").partition(":")[2],
        )

    def _tokens(self, choice: _Choice) -> list[Token]:
        logprobs = choice.logprobs or _Logprobs()
        chances = [probability(value) for value in logprobs.token_logprobs]
        if self.vocabulary is None:
            if len(chances) == len(logprobs.tokens) and "".join(logprobs.tokens) == choice.text:
                pairs = zip(logprobs.tokens, chances, strict=True)
                return [token for text, chance in pairs for token in spread(text, [chance])]
            return spread(choice.text, chances)
        if choice.text and not logprobs.tokens:
            raise InvalidAnswerError("text without token ids. Set c.TurbopilotRemote.vocabulary to none")
        tops = logprobs.top_logprobs or []
        tokens = []
        for at, token in enumerate(map(_id, logprobs.tokens)):
            if token in self.vocabulary.ends:
                continue
            others = (tops[at] if at < len(tops) else None) or {}
            top = likeliest((_id(other), value) for other, value in others.items())
            chance = chances[at] if at < len(chances) else probability(None)
            tokens.append(Token(piece(self.vocabulary, token), chance, token, top))
        return tokens


def _biases(sampling: Sampling, vocabulary: Vocabulary) -> dict[str, float]:
    """Return the sum of biases by token id. The bias of a text applies to each of its tokens."""
    biases: dict[str, float] = {}
    for name, bias in sampling.logit_bias:
        for token in (name,) if isinstance(name, int) else vocabulary.tokenize(name):
            biases[str(token)] = biases.get(str(token), 0.0) + bias
    return biases


def _id(name: str) -> int:
    if found := _ID.fullmatch(name):
        return int(found[1])
    raise InvalidAnswerError("tokens without ids. Set c.TurbopilotRemote.vocabulary to none")
