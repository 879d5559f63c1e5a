"""Reads a body as llama.cpp's server does: aliases, null for a default, 8.0 for 8. Pure."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

import msgspec

from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.request import decode

LONGEST_NUMBER = 64  # characters
MOST_BIAS_BYTES = 1 << 17
_ALIASES = {
    "max_tokens": "n_predict",
    "max_completion_tokens": "n_predict",
    "n": "n_cmpl",
    "logprobs": "n_probs",
}
# Unsupported options of other servers, with the largest value that changes no answer.
_ABSENT: dict[str, float] = {
    "mirostat": 0,
    "dry_multiplier": 0,
    "xtc_probability": 0,
    "dynatemp_range": 0,
    "top_n_sigma": 0,
    "adaptive_target": -1e-9,
    "min_keep": 1,
    "reasoning_budget_tokens": -1,
}
# Further ones, with the only value that changes no answer.
_SWITCHES: dict[str, Any] = {
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


def read(body: bytes, kind: type[T]) -> T:
    """Read a body: null is the default, 8.0 is 8, other names are known, and what is not there is refused.

    Nothing becomes an object before its size is looked at, and fields that nobody knows never do: a megabyte
    of them would hold up the event loop.
    """
    fields = msgspec.structs.asdict(decode(body, _raw(kind)))
    sent = {name: bytes(value) for name, value in fields.items() if bytes(value) not in _DEFAULT}
    given = {name: _whole(name, value) for name, value in sent.items()}
    if len(given.get("logit_bias", b"")) > MOST_BIAS_BYTES:
        raise BadRequestError(
            f"logit_bias is larger than {MOST_BIAS_BYTES} bytes. Send a smaller one.", field="logit_bias"
        )
    refuse_absent({name: decode(given[name], Any) for name in (*_ABSENT, *_SWITCHES) if name in given})
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
def _raw(kind: type[msgspec.Struct]) -> type[Any]:
    """Return a schema of the fields that mean anything in `kind`, each left as it was sent."""
    names = {*kind.__struct_encode_fields__, *_ALIASES, *_ABSENT, *_SWITCHES}
    return msgspec.defstruct("Fields", [(name, msgspec.Raw, msgspec.Raw()) for name in sorted(names)])


def _whole(name: str, value: bytes) -> bytes:
    """Return the number of a field without its fraction where that is nothing."""
    if value[0] not in b"-0123456789":
        return value
    if len(value) > LONGEST_NUMBER:
        raise BadRequestError(f"A number may have at most {LONGEST_NUMBER} characters.", field=name)
    try:
        number = decode(value, float)
    except BadRequestError as error:
        raise BadRequestError(error.message, field=name) from None
    return b"%d" % int(number) if number.is_integer() and abs(number) < 2**53 else value


def refuse_absent(fields: dict[str, Any]) -> None:
    """Refuse by name what would change the answer and is not supported."""
    for name, most in _ABSENT.items():
        value = fields.get(name, most)
        if not isinstance(value, int | float) or value > most:
            raise BadRequestError(f"{name} is not supported. Leave it out.", field=name)
    for name, harmless in _SWITCHES.items():
        if fields.get(name, harmless) != harmless:
            raise BadRequestError(f"{name} is not supported. Leave it out.", field=name)
