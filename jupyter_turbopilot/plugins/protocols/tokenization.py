"""llama.cpp's routes `tokenize` and `detokenize`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from jupyter_turbopilot.jupyter.routes.admission import charge
from jupyter_turbopilot.jupyter.routes.base import Route
from jupyter_turbopilot.jupyter.routes.endpoint import CodeEndpoint
from jupyter_turbopilot.jupyter.routes.jobs import Parser, vocabulary_of
from jupyter_turbopilot.plugins.protocols.body import read_body
from jupyter_turbopilot.plugins.protocols.deltas import token_text
from jupyter_turbopilot.plugins.protocols.options import Ids, Mixed  # noqa: TC001 - the schemas are made at run time
from jupyter_turbopilot.protocol.errors import TooComplexError, UnknownTokenError
from jupyter_turbopilot.protocol.reply import compact
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jupyter_turbopilot.engine.vocabulary import Vocabulary

MAX_PARALLEL = 4  # requests of a caller
ERRORS = (*CodeEndpoint.errors, TooComplexError)
SLICE = 1 << 12  # tokens or characters
WRITTEN = 1 << 6  # bytes that are decoded and encoded in a microsecond
SCANNED = 1 << 10  # characters that are scanned for a control token in a microsecond
Sliced = TypeVar("Sliced", str, list[int])


class TokenizeBody(msgspec.Struct, frozen=True):
    """`POST tokenize`. The content is text, or a list of texts and token ids."""

    content: str | Mixed = ""
    with_pieces: bool = False
    add_special: bool = False
    parse_special: bool = True


class DetokenizeBody(msgspec.Struct, frozen=True):
    """`POST detokenize`."""

    tokens: Ids = []


class TokenizeRoute(Route):
    """`POST tokenize`."""

    @CodeEndpoint(TokenizeBody, read=read_body, max_parallel=MAX_PARALLEL, errors=ERRORS)
    async def post(self, body: TokenizeBody) -> None:
        """Return the tokens of a text."""
        charge(self)
        # A large text would block the event loop.
        self.answer(await Parser(self).run(_tokenize_body, vocabulary_of(self.pilot), body))


def _slices(whole: Sliced) -> Iterator[Sliced]:
    """Split long values: encoding JSON holds the GIL."""
    return (whole[start : start + SLICE] for start in range(0, len(whole), SLICE))


def _tokenize_body(vocabulary: Vocabulary, body: TokenizeBody) -> bytes:
    ids, pieces = _tokens(vocabulary, body), _Pieces(vocabulary)

    def with_pieces(tokens: list[int]) -> list[Any]:
        return [{"id": token, "piece": _piece_as_json(pieces.of(token))} for token in tokens]

    parts = (compact(with_pieces(some) if body.with_pieces else some)[1:-1] for some in _slices(ids))
    return b'{"tokens":[%b]}' % b",".join(parts)


def _detokenize_body(vocabulary: Vocabulary, tokens: list[int]) -> bytes:
    pieces = [*map(_Pieces(vocabulary).of, tokens)]
    count_operations(len(pieces) + sum(map(len, pieces)) // WRITTEN)
    text = b"".join(pieces).decode("utf-8", "replace")
    return b'{"content":"%b"}' % b"".join(compact(some)[1:-1] for some in _slices(text))


def _tokens(vocabulary: Vocabulary, body: TokenizeBody) -> list[int]:
    parts = [body.content] if isinstance(body.content, str) else body.content
    ids: list[int] = []
    if body.add_special and vocabulary.markers.bos is not None and not isinstance((*parts, "")[0], int):
        ids.append(vocabulary.markers.bos)
    specials = longest_first(vocabulary.specials) if body.parse_special else {}
    count_operations(len(parts) + len(specials))
    for part in parts:
        for fragment in [part] if isinstance(part, int) else split_specials(part, specials):
            if isinstance(fragment, int):
                ids.append(fragment)
            else:
                count_operations(len(fragment))
                ids += vocabulary.tokenize(fragment)
    return ids


def longest_first(specials: Mapping[str, int]) -> dict[str, int]:
    """Return control tokens in the order in which llama.cpp looks for them."""
    return {name: specials[name] for name in sorted(specials, key=len, reverse=True)}


def split_specials(text: str, specials: Mapping[str, int]) -> list[str | int]:
    """Split a text at control tokens, like llama.cpp. `specials`: the longest first."""
    fragments: list[str | int] = [text]
    for name, token in specials.items():
        count_operations(len(fragments) + len(text) // SCANNED)
        parts: list[str | int] = []
        for part in fragments:
            if isinstance(part, int) or name not in part:
                parts.append(part)
                continue
            first, *others = part.split(name)
            parts.append(first)
            for other in others:
                parts += [token, other]
        fragments = parts
    return [part for part in fragments if part != ""]


class DetokenizeRoute(Route):
    """`POST detokenize`."""

    @CodeEndpoint(DetokenizeBody, read=read_body, max_parallel=MAX_PARALLEL, errors=ERRORS)
    async def post(self, body: DetokenizeBody) -> None:
        """Return the text of tokens."""
        charge(self)
        self.answer(await Parser(self).run(_detokenize_body, vocabulary_of(self.pilot), body.tokens))


class _Pieces:
    """The bytes of tokens; control tokens as their text."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._spelt = {token: text.encode() for text, token in vocabulary.specials.items()}

    def of(self, token: int) -> bytes:
        try:
            return self._spelt.get(token) or self._vocabulary.piece(token)
        except IndexError:
            raise UnknownTokenError(token, field="tokens") from None


def _piece_as_json(data: bytes) -> str | list[int]:
    text = token_text(data)
    return list(data) if text.startswith("bytes:") else text
