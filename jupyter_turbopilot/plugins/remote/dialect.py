"""The dialects of remote servers: the body of a request and the events of an answer. Pure."""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import msgspec

from jupyter_turbopilot.plugins.remote.errors import ErrorEventError, ErrorFields, InvalidAnswerError
from jupyter_turbopilot.plugins.remote.vocabulary import MIDDLE, PREFIX, SUFFIX
from jupyter_turbopilot.prompt.infill import MARKERS
from jupyter_turbopilot.protocol.engine_request import Token

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling

Shape = TypeVar("Shape")
LENGTH = "length"  # the finish reason of a text that ended at a limit
UNKNOWN = 0.0  # the probability of a token without a logprob; the gate hides it
_ROUNDING = 1e-3  # the largest logprob above zero that is a rounding error


@dataclass(frozen=True)
class EventContent:
    """The content of one event of an answer. Fields that the server does not report are empty."""

    tokens: Sequence[Token] = ()
    ended: bool = False
    model: str = ""
    cached: int | None = None  # prompt tokens that were cached
    cut: bool = False  # whether the text ended at a limit or was interrupted
    version: str = ""  # of the model and software


@dataclass(frozen=True)
class Request:
    """A request to a remote server."""

    route: str
    body: dict[str, Any] = field(repr=False)
    session: str = ""  # a router sends each session to the same replica


# Options ------------------------------------------------------------------------------------------------

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
FIELDS: Mapping[Style, Mapping[str, str]] = {"openai": _OPENAI, "vllm": _VLLM, "llama": _LLAMA}
_OPTIONS = {field: name for fields in FIELDS.values() for name, field in fields.items()}


def sampling_fields(sampling: Sampling, style: Style) -> dict[str, Any]:
    """Return the sampling fields of a body. Defaults are included, because the server's may differ."""
    body: dict[str, Any] = {"temperature": sampling.temperature}
    for name, key in FIELDS[style].items():
        value = getattr(sampling, name)
        if name in _OF_DRAWING:
            used = sampling.temperature > 0
        else:
            used = bool(value) if name in _ONLY_IF_SET else name != "cached" or not value
        if used:
            body[key] = value
    return body


# Answers ------------------------------------------------------------------------------------------------

# The field that an error of llama-server names.
_NAMED = re.compile(r"Field '(\w{1,40})'")


class _Error(msgspec.Struct, frozen=True):
    """An error. Turbopilot servers send `status`; llama-server and vLLM send the status as `code`."""

    code: Any = None
    status: Any = None
    retry_after: Any = None
    param: str | None = None
    message: str | None = None


_LATEST = 86_400  # seconds until the next attempt


class _Failed(msgspec.Struct, frozen=True):
    error: _Error = _Error()


def read_error(data: bytes) -> ErrorFields:
    """Return the fields of the error in an answer or an event."""
    try:
        error = msgspec.json.decode(data, type=_Failed).error
    except (ValueError, RecursionError):
        return ErrorFields()
    statuses = (error.status, error.code)
    named = _NAMED.search(error.message or "")
    return ErrorFields(
        status=next((each for each in statuses if type(each) is int and 400 <= each < 600), 0),  # noqa: PLR2004
        code=error.code if isinstance(error.code, str) else "",
        after=float(min(error.retry_after, _LATEST)) if type(error.retry_after) is int else None,
        option=_OPTIONS.get(error.param or (named[1] if named else ""), ""),
    )


def read_json(data: bytes, shape: type[Shape]) -> Shape:
    """Decode JSON to a type. Ignore unknown fields and accept NaN; raise ErrorEventError for an error."""
    try:
        value = json.loads(data)
        if isinstance(value, dict) and value.get("error") is not None:
            raise ErrorEventError("an error instead of the rest of its answer")
        return msgspec.convert(value, shape)
    except InvalidAnswerError:
        raise
    except (ValueError, RecursionError):
        pass
    raise InvalidAnswerError("an answer that is not the JSON of a completions server")


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


def spread(text: str, chances: Sequence[float] = ()) -> list[Token]:
    """Return the characters of a text as tokens. The first has the probability of the whole text."""
    whole = math.prod(chances) if chances else UNKNOWN
    return [
        Token(character.encode("utf-8", "replace"), 1.0 if at else whole, ord(character))
        for at, character in enumerate(text)
    ]


# Prompts as text ----------------------------------------------------------------------------------------

# Most servers parse these as control tokens anywhere in a text, and cannot distinguish them from code.
_CONTROLS = {"<s>", "</s>", "<bos>", "<eos>", "[INST]", "[/INST]"}.union(map(str.strip, MARKERS))
_CONTROL = re.compile(
    "|".join([r"<[|｜][^\s<>|｜]{1,40}[|｜]>", *map(re.escape, sorted(_CONTROLS, key=len, reverse=True))])  # noqa: RUF001 - DeepSeek's bars
)


class TextPrompt(NamedTuple):
    """The text before and after the cursor; `after` is None without fill-in-the-middle."""

    before: str
    after: str | None


def has_control_token(line: str) -> bool:
    """Return whether a text contains a control token."""
    return _CONTROL.search(line) is not None


def text_prompt(tokens: Sequence[int]) -> TextPrompt | None:
    """Return a prompt's text without lines with control tokens; None if the cursor's line has one."""
    before, after = parts(tokens)
    above, break_, line = before.rpartition("\n")
    rest, end, below = (after or "").partition("\n")
    if has_control_token(line + rest):
        return None
    text = _without_control_tokens(above + break_) + line
    return TextPrompt(text, None if after is None else rest + end + _without_control_tokens(below))


def _without_control_tokens(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not has_control_token(line))


def parts(tokens: Sequence[int]) -> TextPrompt:
    """Split a prompt at its markers."""
    ids = list(tokens)
    if SUFFIX not in ids:
        return TextPrompt(_text(ids), None)
    at = ids.index(SUFFIX)
    end = ids.index(MIDDLE, at) if MIDDLE in ids[at:] else len(ids)
    return TextPrompt(_text(ids[:at] + ids[end + 1 :]), _text(ids[at + 1 : end]))


def _text(ids: Sequence[int]) -> str:
    return "".join(chr(token) for token in ids if token < PREFIX)


@dataclass
class Dialect(ABC):
    """The protocol of one kind of server, with token ids or, without a vocabulary, with text."""

    vocabulary: Vocabulary | None
    fills: bool = False  # whether a text may have a suffix
    logprobs: bool = True  # whether to request those of a text

    @property
    @abstractmethod
    def style(self) -> Style:
        """The names of its sampling fields."""

    @property
    def samplers(self) -> frozenset[str]:
        """The options of `Sampling` that it supports."""
        return frozenset({"temperature", *FIELDS[self.style]})

    @abstractmethod
    def request(self, request: EngineRequest) -> Request | None:
        """Return the HTTP request, or None if a control token is on the cursor's line."""

    @abstractmethod
    def read(self, data: bytes) -> EventContent:
        """Decode an event; raise InvalidAnswerError if that is impossible."""
