"""Decodes a body like llama.cpp's server: aliases, null for a default, 8.0 for 8. Pure."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

import msgspec

from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.request import decode

MAX_NUMBER_LENGTH = 64  # characters
MAX_BIAS_BYTES = 1 << 17
_ALIASES = {
    "max_tokens": "n_predict",
    "max_completion_tokens": "n_predict",
    "n": "n_cmpl",
    "logprobs": "n_probs",
}
# Unsupported options, with the largest value that has no effect.
_UNSUPPORTED: dict[str, float] = {
    "mirostat": 0,
    "dry_multiplier": 0,
    "xtc_probability": 0,
    "dynatemp_range": 0,
    "top_n_sigma": 0,
    "adaptive_target": -1e-9,
    "min_keep": 1,
    "reasoning_budget_tokens": -1,
}
# Further unsupported options, with the only value that has no effect.
_UNSUPPORTED_VALUES: dict[str, Any] = {
    "grammar": "",
    "json_schema": None,
    "response_format": {"type": "text"},
    "lora": [],
    "image_data": [],
    "multimodal_data": [],
    "return_progress": False,
    "timings_per_token": False,
}

_DEFAULT = (b"", b"null")

T = TypeVar("T", bound=msgspec.Struct)


def read_body(body: bytes, kind: type[T]) -> T:
    """Decode a body: resolve aliases, null and 8.0, and reject unsupported options.

    Known fields are decoded after a check of their size, and unknown fields are not decoded: a megabyte of
    them would block the event loop.
    """
    fields = msgspec.structs.asdict(decode(body, _raw_fields(kind)))
    sent = {name: bytes(value) for name, value in fields.items() if bytes(value) not in _DEFAULT}
    given = {name: _without_fraction(name, value) for name, value in sent.items()}
    if len(given.get("logit_bias", b"")) > MAX_BIAS_BYTES:
        raise BadRequestError(
            f"logit_bias is larger than {MAX_BIAS_BYTES} bytes. Send a smaller one.", field="logit_bias"
        )
    reject_unsupported(
        {name: decode(given[name], Any) for name in (*_UNSUPPORTED, *_UNSUPPORTED_VALUES) if name in given}
    )
    sent_as: dict[str | None, str] = {}
    for alias, name in _ALIASES.items():
        if alias in given and name not in given:
            given[name] = given[alias]
            sent_as[name] = alias
    try:
        return decode(msgspec.json.encode({name: msgspec.Raw(value) for name, value in given.items()}), kind)
    except BadRequestError as error:
        raise BadRequestError(error.message, field=sent_as.get(error.field, error.field)) from None


@cache
def _raw_fields(kind: type[msgspec.Struct]) -> type[Any]:
    """Return a schema that leaves each known field of `kind` undecoded."""
    names = {*kind.__struct_encode_fields__, *_ALIASES, *_UNSUPPORTED, *_UNSUPPORTED_VALUES}
    return msgspec.defstruct("Fields", [(name, msgspec.Raw, msgspec.Raw()) for name in sorted(names)])


def _without_fraction(name: str, value: bytes) -> bytes:
    """Return a number without its fraction if the fraction is zero; return other values unchanged."""
    if value[0] not in b"-0123456789":
        return value
    if len(value) > MAX_NUMBER_LENGTH:
        raise BadRequestError(f"A number may have at most {MAX_NUMBER_LENGTH} characters.", field=name)
    try:
        number = decode(value, float)
    except BadRequestError as error:
        raise BadRequestError(error.message, field=name) from None
    return b"%d" % int(number) if number.is_integer() and abs(number) < 2**53 else value


def reject_unsupported(fields: dict[str, Any]) -> None:
    """Raise an error for an unsupported option that would change the answer."""
    for name, most in _UNSUPPORTED.items():
        value = fields.get(name, most)
        if not isinstance(value, int | float) or value > most:
            raise BadRequestError(f"{name} is not supported. Leave it out.", field=name)
    for name, harmless in _UNSUPPORTED_VALUES.items():
        if fields.get(name, harmless) != harmless:
            raise BadRequestError(f"{name} is not supported. Leave it out.", field=name)
