"""What differs between far sides: the body of a request, and how an answer's events are read. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from jupyter_turbopilot.engine.remote.far_side import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jupyter_turbopilot.generation import Ask, Sampling, Token

SESSION_HEADER = "X-Session-Id"  # of a request: a router sends the same to the same replica
REPLICA_HEADER = "X-Replica-Id"  # of an answer: which of several behind one address gives it


@dataclass(frozen=True)
class Heard:
    """What one event of an answer says."""

    tokens: Sequence[Token] = ()
    ended: bool = False
    model: str = ""  # who answers, where that is said
    cached: int | None = None  # tokens of the prompt that were not read again, where that is said
    cut: bool = False  # whether it ended at a limit, or broke off
    version: str = ""  # what else the answer depends on, where that is said
    replica: str = ""  # which of several behind one address answers, where that is said


@dataclass(frozen=True)
class Request:
    """What is sent."""

    route: str
    body: dict[str, Any] = field(repr=False)
    session: str = ""  # the notebook that it belongs to: a router sends the same to the same replica


class Dialect(Protocol):
    """One kind of far side, with token ids or with text."""

    def request(self, ask: Ask) -> Request | None:
        """Return what is sent; None: nothing can be asked there."""

    def read(self, data: bytes) -> Heard:
        """Read the data of an event; a StrangeAnswerError where they make no sense."""


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

_OPTIONS = {told: name for fields in _FIELDS.values() for name, told in fields.items()}


# How llama-server names a field that it does not accept.
_NAMED = re.compile(r"Field '(\w{1,40})'")


class _Error(msgspec.Struct, frozen=True):
    param: str | None = None
    message: str | None = None


class _Refusal(msgspec.Struct, frozen=True):
    error: _Error = _Error()


def refused_option(data: bytes) -> str:
    """Return the option of `Sampling` that a refusal names as wrong; nothing of its words."""
    try:
        error = msgspec.json.decode(data, type=_Refusal).error
        named = _NAMED.search(error.message or "")
        return _OPTIONS.get(error.param or (named[1] if named else ""), "")
    except (ValueError, RecursionError):
        return ""


def samplers(style: Style) -> frozenset[str]:
    """Return the options of `Sampling` that a style of body has fields for."""
    return frozenset({"temperature", *_FIELDS[style]})


def sampling_fields(sampling: Sampling, style: Style) -> dict[str, Any]:
    """Return the fields of a body that say how tokens are chosen. A far side may have defaults of its own."""
    drawing = sampling.temperature > 0
    body: dict[str, Any] = {"temperature": sampling.temperature}
    for name, told in _FIELDS[style].items():
        value = getattr(sampling, name)
        if (name in _OF_DRAWING and not drawing) or (name in _ONLY_IF_SET and not value):
            continue
        if name == "cached" and value:
            continue
        body[told] = value
    return body


def owner_fields(kind: Kind, owner: str) -> dict[str, Any]:
    """Return the fields of a body that keep what is read for one owner from serving another.

    llama-server knows nothing of owners: it reads each prompt from its beginning. What only says that it
    speaks OpenAI's protocol may be vLLM, as Ray's `serve.llm` is: better refused than shared.
    """
    if not owner or kind is Kind.PROVIDER:
        return {}
    return {"cache_prompt": False} if kind is Kind.LLAMA else {"cache_salt": owner}


UNKNOWN = 0.0  # a token that nothing is known of is not shown unasked
_ROUNDING = 1e-3  # a logarithm that is so little above zero has been rounded


def probability(logarithm: float | None) -> float:
    """Return a probability by its logarithm; UNKNOWN where it is missing or none."""
    if logarithm is None or not logarithm <= _ROUNDING:
        return UNKNOWN
    return math.exp(min(0.0, logarithm))


def likeliest(pairs: Iterable[tuple[int, float | None]]) -> tuple[tuple[int, float], ...]:
    """Return tokens with their logarithms, the likeliest first, those that make sense."""
    known = [(token, min(0.0, value)) for token, value in pairs if value is not None and value <= _ROUNDING]
    return tuple(sorted(known, key=lambda pair: -pair[1]))
