"""The dialects of OpenAI's completions protocol, with token ids or with text. Pure.

Token ids are for Turbopilot servers, vLLM and compatible servers; text is for unknown vocabularies.
"""

from __future__ import annotations

import base64
import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from jupyter_turbopilot.engine.vocabulary import MIDDLE, PREFIX, SUFFIX
from jupyter_turbopilot.plugins.remote.dialect import (
    UNKNOWN,
    EventContent,
    Request,
    Style,
    likeliest,
    probability,
    sampling_fields,
)
from jupyter_turbopilot.plugins.remote.errors import ErrorEventError, InvalidAnswerError
from jupyter_turbopilot.plugins.remote.remote_server import Kind, RemoteServer, read_json
from jupyter_turbopilot.protocol.engine_request import Token

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling

_ID = "token_id:"
MOST_DIGITS = 9
ROUTE = "/v1/completions"
LENGTH = "length"  # the finish reason of a text that ended at a limit
_STYLES: dict[Kind, Style] = {Kind.OURS: "llama", Kind.VLLM: "vllm"}
# Most servers parse these as control tokens anywhere in a text.
_CONTROLS = ("<s>", "</s>", "<bos>", "<eos>", "[INST]", "[/INST]")
_BARRED = r"<[|｜][^\s<>|｜]{1,40}[|｜]>"  # noqa: RUF001 - DeepSeek's bars


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
    error: Any = None


def _read_event(data: bytes, tokens_of: Callable[[_Choice], list[Token]]) -> EventContent:
    """Decode an event; raise ErrorEventError for an error."""
    chunk = read_json(data, _Chunk)
    if chunk.error is not None:
        raise ErrorEventError(chunk.error)
    choices = [choice for choice in chunk.choices if not choice.index]
    reasons = {choice.finish_reason for choice in choices}
    details = chunk.usage.prompt_tokens_details if chunk.usage else None
    return EventContent(
        [token for choice in choices for token in tokens_of(choice)],
        any(reasons),
        chunk.model or "",
        details.cached_tokens if details else None,
        cut=LENGTH in reasons,
        version=(chunk.system_fingerprint or "").partition(":")[2],
    )


class ByIds:
    """Prompts and answers as token ids."""

    def __init__(self, peer: RemoteServer, vocabulary: Vocabulary) -> None:
        self._remote = peer
        self._vocabulary = vocabulary
        self._ours = peer.kind is Kind.OURS
        self.style: Style = _STYLES.get(peer.kind, "openai")

    def request(self, request: EngineRequest) -> Request:
        """Return the HTTP request."""
        sampling = request.sampling
        body = sampling_fields(sampling, self.style)
        if "logit_bias" in body:  # a router may accept only OpenAI's format
            body["logit_bias"] = self._biases(sampling)
        body |= {
            "model": self._remote.model,
            "prompt": list(request.prompt),
            # Only Turbopilot servers accept 0.
            "max_tokens": sampling.max_tokens if self._ours else max(1, sampling.max_tokens),
            "stream": True,
            "logprobs": sampling.top,
            "return_tokens_as_token_ids": True,
        }
        if self._ours:
            body["turbopilot"] = peer_fields(request)
        return Request(ROUTE, body)

    def _biases(self, sampling: Sampling) -> dict[str, float]:
        """Return the sum of biases by token id. The bias of a text applies to each of its tokens."""
        biases: dict[str, float] = {}
        for name, bias in sampling.logit_bias:
            for token in (name,) if isinstance(name, int) else self._vocabulary.tokenize(name):
                biases[str(token)] = biases.get(str(token), 0.0) + bias
        return biases

    def read(self, data: bytes) -> EventContent:
        """Decode an event."""
        return _read_event(data, self._tokens)

    def _tokens(self, choice: _Choice) -> list[Token]:
        logprobs = choice.logprobs
        if logprobs is None or not logprobs.tokens:
            if choice.text:
                raise InvalidAnswerError("text without token ids. Set c.TurbopilotRemote.vocabulary to none")
            return []
        tops = logprobs.top_logprobs or []
        tokens = []
        for at, name in enumerate(logprobs.tokens):
            token = _id(name)
            if token in self._vocabulary.ends:
                continue
            logarithm = logprobs.token_logprobs[at] if at < len(logprobs.token_logprobs) else None
            others = (tops[at] if at < len(tops) else None) or {}
            top = likeliest((_id(other), value) for other, value in others.items())
            tokens.append(Token(piece(self._vocabulary, token), probability(logarithm), token, top))
        return tokens


def _id(name: str) -> int:
    digits = name.removeprefix(_ID)
    if digits == name or not digits.isascii() or not digits.isdigit() or len(digits) > MOST_DIGITS:
        raise InvalidAnswerError("tokens without ids. Set c.TurbopilotRemote.vocabulary to none")
    return int(digits)


def piece(vocabulary: Vocabulary, token: int) -> bytes:
    """Return the bytes of a token; raise InvalidAnswerError if it is not in the vocabulary."""
    try:
        if token >= 0:
            return vocabulary.piece(token)
    except IndexError:
        pass
    raise InvalidAnswerError("a token that is not in c.TurbopilotRemote.vocabulary")


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
    return fields


class TextPrompt(NamedTuple):
    """The text before and after the cursor; `after` is None without fill-in-the-middle."""

    before: str
    after: str | None


class Spellings:
    """Finds control tokens in text, which a remote server cannot distinguish from code."""

    def __init__(self, markers: Collection[str] = ()) -> None:
        """`markers`: the markers of all known fill-in-the-middle formats."""
        texts = sorted({*_CONTROLS, *(marker.strip() for marker in markers)} - {""}, key=len, reverse=True)
        self._pattern = re.compile("|".join([_BARRED, *map(re.escape, texts)]))

    def found(self, line: str) -> bool:
        """Return whether a text contains a control token."""
        return self._pattern.search(line) is not None

    def prompt(self, tokens: Sequence[int]) -> TextPrompt | None:
        """Return a prompt's text without lines with control tokens; None if the cursor's line has one."""
        before, after = parts(tokens)
        above, break_, line = before.rpartition("\n")
        rest, end, below = (after or "").partition("\n")
        if self.found(line + rest):
            return None
        text = self._without(above + break_) + line
        return TextPrompt(text, None if after is None else rest + end + self._without(below))

    def _without(self, text: str) -> str:
        if not self.found(text):
            return text
        return "".join(line for line in text.splitlines(keepends=True) if not self.found(line))


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


class ByText:
    """Prompts as text, with the suffix in a separate field."""

    def __init__(self, model: str, spellings: Spellings, *, logprobs: bool) -> None:
        self._model = model
        self._spellings = spellings
        self._logprobs = logprobs

    def request(self, request: EngineRequest) -> Request | None:
        """Return the HTTP request."""
        prompt = self._spellings.prompt(request.prompt)
        if prompt is None:
            return None
        body = sampling_fields(request.sampling, "openai") | {
            "prompt": prompt.before,
            "max_tokens": max(1, request.sampling.max_tokens),
            "stream": True,
        }
        if self._model:
            body["model"] = self._model
        if prompt.after is not None:
            body["suffix"] = prompt.after
        if self._logprobs:
            body["logprobs"] = 1
        return Request(ROUTE, body)

    def read(self, data: bytes) -> EventContent:
        """Decode an event."""
        return _read_event(data, _characters)


def _characters(choice: _Choice) -> list[Token]:
    logprobs = choice.logprobs
    if logprobs is None:
        return spread(choice.text)
    chances = [probability(value) for value in logprobs.token_logprobs]
    if len(chances) == len(logprobs.tokens) and "".join(logprobs.tokens) == choice.text:
        return [
            token
            for text, chance in zip(logprobs.tokens, chances, strict=True)
            for token in spread(text, [chance])
        ]
    return spread(choice.text, chances)


def spread(text: str, chances: Sequence[float] = ()) -> list[Token]:
    """Return the characters of a text as tokens. The first has the probability of the whole text."""
    whole = math.prod(chances) if chances else UNKNOWN
    return [
        Token(character.encode("utf-8", "replace"), 1.0 if at else whole, ord(character))
        for at, character in enumerate(text)
    ]
