"""The dialect of OpenAI's completions protocol. Pure."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

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
)
from jupyter_turbopilot.plugins.remote.errors import InvalidAnswerError
from jupyter_turbopilot.plugins.remote.remote_server import Kind, RemoteServer
from jupyter_turbopilot.protocol.engine_request import Token

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.plugins.remote.dialect import Spellings
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling

_ID = "token_id:"
MOST_DIGITS = 9
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


class OpenAIDialect(Dialect):
    """The protocol of Turbopilot servers, which accept all fields, vLLM and compatible servers."""

    def __init__(
        self, peer: RemoteServer, vocabulary: Vocabulary | None, spellings: Spellings, **text: bool
    ) -> None:
        super().__init__(vocabulary, spellings, **text)
        self._peer = peer
        self._ours = bool(vocabulary) and peer.kind is Kind.OURS
        self.style = _STYLES.get(peer.kind, "openai") if vocabulary else "openai"

    def request(self, request: EngineRequest) -> Request | None:
        sampling = request.sampling
        body = sampling_fields(sampling, self.style) | {"stream": True}
        # Only Turbopilot servers accept 0.
        body["max_tokens"] = sampling.max_tokens if self._ours else max(1, sampling.max_tokens)
        if self._peer.model:
            body["model"] = self._peer.model
        if request.tenant and self._peer.kind is not Kind.PROVIDER:
            # This separates the cached prompts of tenants. An unknown server may be vLLM, such as Ray's
            # `serve.llm`: an error is better than a shared cache.
            body["cache_salt"] = request.tenant
        if self.vocabulary:
            if "logit_bias" in body:  # a router may accept only OpenAI's format
                body["logit_bias"] = _biases(sampling, self.vocabulary)
            body |= {"prompt": list(request.prompt), "logprobs": sampling.top}
            body["return_tokens_as_token_ids"] = True
            if self._ours:
                body["turbopilot"] = peer_fields(request)
        else:
            prompt = self.spellings.prompt(request.prompt)
            if prompt is None:
                return None
            body["prompt"] = prompt.before
            if prompt.after is not None:
                body["suffix"] = prompt.after
            if self.logprobs:
                body["logprobs"] = 1
        return Request(self._peer.route, body, request.session)

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
    digits = name.removeprefix(_ID)
    if digits == name or not digits.isascii() or not digits.isdigit() or len(digits) > MOST_DIGITS:
        raise InvalidAnswerError("tokens without ids. Set c.TurbopilotRemote.vocabulary to none")
    return int(digits)


def peer_fields(request: EngineRequest) -> dict[str, Any]:
    """Return the fields of a request that only Turbopilot servers accept."""
    beginning = request.sampling.beginning
    given = {
        "prefixes": [base64.b64encode(way).decode() for way in beginning.candidates],
        "typed_bytes": beginning.typed,
        "draft": list(request.hint),
        "language": request.language,
        "priority": request.priority,
        "automatic": request.automatic,
    }
    fields: dict[str, Any] = {name: value for name, value in given.items() if value}
    if beginning.banned is not None:
        fields["banned_token"] = beginning.banned
    if request.hint:
        fields["draft_aligned"] = request.aligned
    if request.suffix_span[0] < request.suffix_span[1]:
        fields["stable_range"] = list(request.suffix_span)
    if request.context_end:
        fields["context_end"] = request.context_end
    return fields
