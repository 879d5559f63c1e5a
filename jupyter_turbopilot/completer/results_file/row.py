"""An answer as a row of the results file, and back; a row that is not what was written is no answer. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import msgspec

from jupyter_turbopilot.generation import Token
from jupyter_turbopilot.suggestion.cache import KEY_BYTES, REACH, Answer

_CERTAIN = 1.001  # a probability, rounded
_IDS = 1 << 31


class Row(NamedTuple):
    """What the file holds of an answer."""

    place: bytes
    keys: bytes  # all of them, one behind the other
    answer: bytes  # JSON
    digest: bytes  # of the keys and the answer: SQLite does not notice a byte that has changed


class _Written(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """An answer without its keys."""

    tokens: list[tuple[str, float, int]]  # each byte of a token as a character: it may end within one
    limit: str
    ended: bool


def row_of(answer: Answer) -> Row:
    """Return the row of an answer."""
    tokens = [(token.data.decode("latin-1"), token.probability, token.id) for token in answer.tokens]
    keys = b"".join(answer.keys)
    written = msgspec.json.encode(_Written(tokens, answer.limit, answer.ended))
    return Row(answer.keys[0], keys, written, _digest(keys, written))


def answer_of(row: Row) -> Answer | None:
    """Return the answer that a row holds; None where it was not written so."""
    if row.digest != _digest(row.keys, row.answer):
        return None
    try:
        written = msgspec.json.decode(row.answer, type=_Written)
        tokens = tuple(
            Token(data.encode("latin-1"), chance, number) for data, chance, number in written.tokens
        )
    except (msgspec.MsgspecError, UnicodeError):
        return None
    if not all(0 <= token.probability <= _CERTAIN and -1 <= token.id < _IDS for token in tokens):
        return None
    keys = tuple(row.keys[at : at + KEY_BYTES] for at in range(0, len(row.keys), KEY_BYTES))
    answer = Answer(keys, tokens, written.limit, written.ended)
    reach = max(1, min(REACH, len(answer.text)))
    return answer if len(row.keys) == reach * KEY_BYTES and row.place == keys[0] else None


def _digest(keys: bytes, answer: bytes) -> bytes:
    return blake2b(keys + answer, digest_size=KEY_BYTES).digest()
