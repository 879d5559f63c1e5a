from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.vocabulary import vocabulary_digest
from jupyter_turbopilot.protocol.engine_request import Markers


class Words:
    """A vocabulary of a few pieces."""

    markers = Markers()
    ends = frozenset[int]()
    unit = 1

    def __init__(self, pieces: list[bytes], specials: Mapping[str, int] | None = None) -> None:
        self.pieces = pieces
        self.specials = specials or {}
        self.asked = 0

    def find_token(self, text: str) -> int | None:
        return self.specials.get(text)

    def tokenize(self, text: str, *, continues: bool = False) -> list[int]:
        return [self.pieces.index(character.encode()) for character in text]

    def piece(self, token: int) -> bytes:
        self.asked += 1
        return self.pieces[token]


pieces = st.lists(st.binary(max_size=3), max_size=6)


@given(pieces, pieces)
def test_vocabulary_digest_depends_on_every_token(some: list[bytes], others: list[bytes]) -> None:
    same = dict(enumerate_full(some)) == dict(enumerate_full(others))
    assert (vocabulary_digest(Words(some)) == vocabulary_digest(Words(others))) is same


def enumerate_full(found: list[bytes]) -> list[tuple[int, bytes]]:
    return [(token, piece) for token, piece in enumerate(found) if piece]


def test_vocabulary_digest_depends_on_control_tokens() -> None:
    found = {
        vocabulary_digest(Words([b"a", b""], specials))
        for specials in ({}, {"<end>": 1}, {"<mark>": 1}, {"<end>": 0})
    }
    assert len(found) == 4
