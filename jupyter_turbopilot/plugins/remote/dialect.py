"""The dialects of remote servers: the body of a request and the events of an answer."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from jupyter_turbopilot.plugins.remote.errors import InvalidAnswerError
from jupyter_turbopilot.plugins.remote.remote_server import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling, Token


@dataclass(frozen=True)
class EventContent:
    """The content of one event of an answer. Fields that the server does not report are empty."""

    tokens: Sequence[Token] = ()
    ended: bool = False
    model: str = ""
    cached: int | None = None  # prompt tokens that were cached
    cut: bool = False  # whether the text ended at a limit or was interrupted
    version: str = ""  # of the model and software
    replica: str = ""


@dataclass(frozen=True)
class Request:
    """A request to a remote server."""

    route: str
    body: dict[str, Any] = field(repr=False)
    session: str = ""  # see `headers.SESSION_HEADER`


class Dialect(Protocol):
    """The protocol of one kind of server, with token ids or with text."""

    samplers: frozenset[str]  # the options of `Sampling` that it supports

    def request(self, request: EngineRequest) -> Request | None:
        """Return the HTTP request, or None if the server cannot serve it."""

    def read(self, data: bytes) -> EventContent:
        """Decode an event; raise InvalidAnswerError if that is impossible."""


_OPENAI = {
    "top_p": "top_p",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
_VLLM = _OPENAI | {
    "top_k": "top_k",
    "min_p": "min_p",
    "repeat_penalty": "repetition_penalty",
    "ignore_end": "ignore_eos",
    "logit_bias": "logit_bias",
}
_LLAMA = _VLLM | {
    "typical_p": "typical_p",
    "samplers": "samplers",
    "repeat_penalty": "repeat_penalty",
    "penalty_last_n": "repeat_last_n",
    "drawn": "post_sampling_probs",
    "cached": "cache_prompt",
}
_OF_DRAWING = {"top_p", "seed", "top_k", "min_p", "typical_p", "samplers"}
_ONLY_IF_SET = {"logit_bias", "ignore_end", "drawn"}
Style = Literal["openai", "vllm", "llama"]
_FIELDS: Mapping[Style, Mapping[str, str]] = {"openai": _OPENAI, "vllm": _VLLM, "llama": _LLAMA}

_OPTIONS = {field: name for fields in _FIELDS.values() for name, field in fields.items()}


# The field that an error of llama-server names.
_NAMED = re.compile(r"Field '(\w{1,40})'")


class _Error(msgspec.Struct, frozen=True):
    code: Any = None  # text, or the status
    param: str | None = None
    message: str | None = None


class _Refusal(msgspec.Struct, frozen=True):
    error: _Error = _Error()


def read_error(data: bytes) -> tuple[str, str]:
    """Return the option of `Sampling` that the body of an error names, and its code; empty if missing."""
    try:
        error = msgspec.json.decode(data, type=_Refusal).error
    except (ValueError, RecursionError):
        return "", ""
    named = _NAMED.search(error.message or "")
    option = _OPTIONS.get(error.param or (named[1] if named else ""), "")
    return option, error.code if isinstance(error.code, str) else ""


def samplers(style: Style) -> frozenset[str]:
    """Return the options of `Sampling` that a style supports."""
    return frozenset({"temperature", *_FIELDS[style]})


def sampling_fields(sampling: Sampling, style: Style) -> dict[str, Any]:
    """Return the sampling fields of a body. Defaults are included, because the server's may differ."""
    drawing = sampling.temperature > 0
    body: dict[str, Any] = {"temperature": sampling.temperature}
    for name, key in _FIELDS[style].items():
        value = getattr(sampling, name)
        if (name in _OF_DRAWING and not drawing) or (name in _ONLY_IF_SET and not value):
            continue
        if name == "cached" and value:
            continue
        body[key] = value
    return body


def tenant_fields(kind: Kind, tenant: str) -> dict[str, Any]:
    """Return the fields of a body that separate the cached prompts of owners.

    llama-server has no such field, so its prompt cache is disabled. An unknown server with OpenAI's protocol
    may be vLLM, such as Ray's `serve.llm`, and gets vLLM's field: an error is better than a shared cache.
    """
    if not tenant or kind is Kind.PROVIDER:
        return {}
    return {"cache_prompt": False} if kind is Kind.LLAMA else {"cache_salt": tenant}


LENGTH = "length"  # the finish reason of a text that ended at a limit
UNKNOWN = 0.0  # the probability of a token without a logprob; the gate hides it
_ROUNDING = 1e-3  # the largest logprob above zero that is a rounding error


def probability(logarithm: float | None) -> float:
    """Return the probability for a logprob; UNKNOWN if it is missing or invalid."""
    if logarithm is None or not logarithm <= _ROUNDING:
        return UNKNOWN
    return math.exp(min(0.0, logarithm))


def likeliest(pairs: Iterable[tuple[int, float | None]]) -> tuple[tuple[int, float], ...]:
    """Return the tokens with valid logprobs, the most likely first."""
    valid = [(token, min(0.0, value)) for token, value in pairs if value is not None and value <= _ROUNDING]
    return tuple(sorted(valid, key=lambda pair: -pair[1]))


def piece(vocabulary: Vocabulary, token: int) -> bytes:
    """Return the bytes of a token; raise InvalidAnswerError if it is not in the vocabulary."""
    try:
        if token >= 0:
            return vocabulary.piece(token)
    except IndexError:
        pass
    raise InvalidAnswerError("a token that is not in c.TurbopilotRemote.vocabulary")
