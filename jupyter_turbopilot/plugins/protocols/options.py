"""Request bodies of llama.cpp's server, with defaults and bounds. Independent of the web server."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from jupyter_turbopilot.engine.peer import TokenId
from jupyter_turbopilot.protocol.engine_request import SAMPLERS, RawRequest, Sampling
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.request import Stop  # noqa: TC001 - read by msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_PREDICT = 1 << 16
MAX_PROMPTS, MAX_TEXTS = 16, 16
MAX_BIASES, MAX_BIAS = 4096, 1e9
MAX_BIASED_TEXT = 4096  # characters of all biased texts: each request tokenizes them
MAX_IDS, MAX_PARTS = 1 << 17, 256  # tokens of a prompt; texts between token ids
Name = Annotated[str, Meta(max_length=128)]
Ids = Annotated[list[TokenId], Meta(max_length=MAX_IDS)]
Mixed = Annotated[list[str | TokenId], Meta(max_length=MAX_IDS)]
Prompt = str | tuple[int | str, ...]
Biases = tuple[tuple[int | str, float], ...]
_SAMPLER_LETTERS = {"k": "top_k", "y": "typ_p", "p": "top_p", "m": "min_p", "t": "temperature", "i": "infill"}
_NUMBER = re.compile(r"-?\d{1,10}", re.ASCII)


def biases(given: list[Any] | dict[str, Any]) -> Biases:
    """Parse biases by token id or text, as pairs or as an object; `false` bans a token."""
    pairs = [(_key(name), bias) for name, bias in given.items()] if isinstance(given, dict) else given
    if len(pairs) > MAX_BIASES:
        raise BadRequestError(f"logit_bias may have at most {MAX_BIASES} entries.", field="logit_bias")
    read_biases = tuple(_bias(pair) for pair in pairs)
    if sum(len(name) for name, _ in read_biases if isinstance(name, str)) > MAX_BIASED_TEXT:
        raise BadRequestError(
            f"All texts in logit_bias together may have at most {MAX_BIASED_TEXT} characters.",
            field="logit_bias",
        )
    return read_biases


def _key(name: str) -> int | str:
    """Return the token id if the key of an object is a number, else the text."""
    return int(name) if _NUMBER.fullmatch(name) else name


def _bias(pair: Any) -> tuple[int | str, float]:
    match pair:
        case [str() | int() as name, int() | float() as bias]:
            pass
        case {"token": str() | int() as name, "bias": int() | float() as bias}:
            pass
        case _:
            raise BadRequestError(
                "logit_bias must be a list of [token id or text, bias], or an object.", field="logit_bias"
            )
    if bias is True or isinstance(name, bool) or abs(bias) > MAX_BIAS:
        raise BadRequestError(
            f"A bias must be a number from -{MAX_BIAS:.0e} to {MAX_BIAS:.0e}, or false to ban the token.",
            field="logit_bias",
        )
    return name, -MAX_BIAS if bias is False else float(bias)


def samplers(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Parse the order of the samplers: their names, or one letter for each."""
    if isinstance(given, str):
        return tuple(_SAMPLER_LETTERS.get(letter, letter) for letter in given)
    return SAMPLERS if given is None else tuple(given)


class SamplingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Sampling options that both protocols share. Values out of range are clamped."""

    top_k: int = 40
    min_p: float = 0.05
    typical_p: float = 1.0
    repeat_penalty: Annotated[float, Meta(gt=0.0, le=100.0)] = 1.0
    repeat_last_n: Annotated[int, Meta(ge=-1, le=1 << 20)] = 64
    samplers: Name | Annotated[list[Name], Meta(max_length=32)] | None = None
    logit_bias: list[Any] | dict[str, Any] | None = None
    ignore_eos: bool = False
    post_sampling_probs: bool = False
    cache_prompt: bool = True

    def sampling_with(self, **more: Any) -> Sampling:
        """Return these options, and those that the protocols name or limit differently."""
        return Sampling(
            cached=self.cache_prompt,
            top_k=min(max(0, self.top_k), 1 << 30),
            min_p=min(max(0.0, self.min_p), 1.0),
            typical_p=min(max(0.0, self.typical_p), 1.0),
            repeat_penalty=self.repeat_penalty,
            penalty_last_n=self.repeat_last_n,
            samplers=samplers(self.samplers),
            logit_bias=biases(self.logit_bias or []),
            ignore_end=self.ignore_eos,
            drawn=self.post_sampling_probs,
            **more,
        )


Prompts = str | Annotated[list[str | TokenId | Mixed], Meta(max_length=MAX_IDS)]


def prompts(given: Prompts) -> list[Prompt]:
    """Return the prompts, each a text or a mix of token ids and texts.

    A list that contains a token id is one prompt; other lists contain one prompt per item.
    """
    several = given if isinstance(given, list) and int not in set(map(type, given)) else [given]
    if not 0 < len(several) <= MAX_PROMPTS:
        raise BadRequestError(f"Send 1 to {MAX_PROMPTS} prompts.", field="prompt")
    if sum(len(part) for part in several if isinstance(part, list)) > MAX_IDS:
        raise BadRequestError(f"All prompts together may have at most {MAX_IDS} tokens.", field="prompt")
    return [_prompt(part) for part in several]


def _prompt(given: Any) -> Prompt:
    if isinstance(given, str):
        return given
    kinds = Counter(map(type, given))
    if kinds.keys() <= {int, str}:
        if kinds[str] > MAX_PARTS:
            raise BadRequestError(
                f"A prompt may have at most {MAX_PARTS} texts between token ids.", field="prompt"
            )
        return tuple(given)
    raise BadRequestError("A prompt must be a text, or a list of token ids and texts.", field="prompt")


_NOT_REPORTED = {"logit_bias", "stop", "response_fields"}


class GenerationOptions(SamplingOptions, frozen=True, kw_only=True):
    """Options that `/completion` and `/infill` share. Unknown fields are ignored."""

    n_predict: Annotated[int, Meta(ge=-1)] = -1  # 0: only evaluate the prompt; -1: no limit
    n_cmpl: Annotated[int, Meta(ge=1, le=MAX_TEXTS)] = 1
    n_indent: Annotated[int, Meta(ge=0, le=4096)] = 0
    temperature: float = 0.8
    top_p: float = 0.95
    presence_penalty: Annotated[float, Meta(ge=-100.0, le=100.0)] = 0.0
    frequency_penalty: Annotated[float, Meta(ge=-100.0, le=100.0)] = 0.0
    seed: int = -1
    stop: Stop | Annotated[list[Stop], Meta(max_length=64)] = []
    stream: bool = False
    n_probs: Annotated[int, Meta(ge=0, le=100)] = 0
    return_tokens: bool = False
    t_max_prompt_ms: Annotated[int, Meta(ge=-1, le=3_600_000)] = 0
    t_max_predict_ms: Annotated[int, Meta(ge=-1)] = 0
    id_slot: int = -1
    response_fields: Annotated[list[Name], Meta(max_length=64)] = []

    def sampling(self) -> Sampling:
        return self.sampling_with(
            max_tokens=min(self.n_predict, MAX_PREDICT),
            temperature=max(0.0, self.temperature),
            top_p=min(max(0.0, self.top_p), 1.0),
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            seed=secrets.randbits(31) if self.seed < 0 else self.seed & 0xFFFFFFFF,
            top=self.n_probs,
        )

    def more(self) -> dict[str, Any]:
        """Return the fields of a raw request besides the prompt."""
        return {
            "sampling": self.sampling(),
            "stop": (self.stop,) if isinstance(self.stop, str) else tuple(self.stop),
            "indent": self.n_indent,
            "n": self.n_cmpl,
            "best_of": self.n_cmpl,
            "stream": self.stream,
            # Editors that only prefetch send 1 ms, because they do not wait for the response.
            "prompt_seconds": max(0, self.t_max_prompt_ms) / 1000 if self.n_predict else 0.0,
            "seconds": max(0, self.t_max_predict_ms) / 1000,
            "cut": True,
            "prefetch": self.n_predict == 0,
        }

    def settings(self, sampling: Sampling) -> dict[str, Any]:
        """Return the effective settings for the response.

        Long values are omitted, because each completion would repeat them.
        """
        known = {
            name: getattr(self, name)
            for name in GenerationOptions.__struct_fields__
            if name not in _NOT_REPORTED
        }
        understood = msgspec.to_builtins(sampling)
        same = {name: understood[name] for name in known if name in understood}
        return known | same | {"max_tokens": self.n_predict, "seed": self.seed}


class CompletionBody(GenerationOptions, frozen=True, kw_only=True):
    """`POST completion`. A prompt is text, token ids or a mix of both; a list may hold several prompts."""

    prompt: Prompts

    def texts(self) -> list[RawRequest]:
        """Return the requests, one for each prompt."""
        parts = prompts(self.prompt)
        more = self.more() | {"bulk": len(parts) > 1}
        return [RawRequest(prompt=prompt, **more) for prompt in parts]


class InfillExtra(msgspec.Struct, frozen=True, kw_only=True):
    """Another file, as context."""

    text: str
    filename: Annotated[str, Meta(max_length=4096)] | None = None


class InfillBody(GenerationOptions, frozen=True, kw_only=True):
    """`POST infill`. Unknown fields are ignored."""

    input_prefix: str
    input_suffix: str
    input_extra: Annotated[list[InfillExtra], Meta(max_length=256)] = []
    prompt: str = ""
    move_suffix: Annotated[
        bool | None,
        Meta(
            description="whether to reuse the KV cache of text after a change: faster, but the answer can "
            "differ slightly. llama.cpp's server ignores it"
        ),
    ] = False

    def texts(self) -> list[RawRequest]:
        others = tuple((extra.filename or "tmp", extra.text) for extra in self.input_extra)
        text = RawRequest(
            prompt=self.input_prefix,
            suffix=self.input_suffix,
            typed=self.prompt,
            others=others,
            window=True,
            moves=bool(self.move_suffix),
            **self.more(),
        )
        return [text]
