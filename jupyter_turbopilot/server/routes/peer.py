"""Between two of our servers: what one tells of its engine, and what another asks beyond OpenAI's fields.

No web server in it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from jupyter_turbopilot.engine.vocabulary import vocabulary_digest
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.generation import Beginning, ExactAsk, Urgency
from jupyter_turbopilot.server.routes.options import Name, TokenId  # noqa: TC001 - the schemas are made at run time

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.base import Engine

VERSION = 1
MOST_CHANCES = 20  # of the likeliest tokens at a place, as OpenAI's routes have it
# Each token is compared with every way a text may begin, and each guess is searched for in the hint.
MOST_WAYS, LONGEST_WAY, MOST_OF_WAYS = 2048, 1024, 1 << 16
MOST_HINTED = 1 << 13
_SHORT = 16  # digits of a digest

Way = Annotated[bytes, Meta(max_length=LONGEST_WAY)]
Index = Annotated[int, Meta(ge=0, le=1 << 20)]


class PeerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What another server of ours asks beyond OpenAI's fields: the rest of what its engine was asked."""

    begins: Annotated[
        list[Way], Meta(max_length=MOST_WAYS, description="the text begins with one of these bytes (base64)")
    ] = []
    typed: Annotated[
        int,
        Meta(ge=0, le=LONGEST_WAY, description="how many of the first bytes stand in the document already"),
    ] = 0
    banned: Annotated[TokenId | None, Meta(description="a token that the text may not begin with")] = None
    hint: Annotated[
        list[TokenId], Meta(max_length=MOST_HINTED, description="tokens that may follow; they are verified")
    ] = []
    aligned: Annotated[bool, Meta(description="whether the hint begins where a token began")] = True
    fixed: Annotated[
        Annotated[list[Index], Meta(min_length=2, max_length=2)] | None,
        Meta(description="`[from, to]`: tokens of the prompt that seldom change, but move"),
    ] = None
    language: Annotated[Name, Meta(description="the text's language: some adapters are for one alone")] = ""
    priority: Annotated[
        Urgency | None, Meta(description="how urgent it is; several texts or long ones are `bulk` at most")
    ] = None

    def beginning(self) -> Beginning:
        """Return what the text may begin with."""
        if sum(map(len, self.begins)) > MOST_OF_WAYS:
            raise BadRequestError(f"begins may have at most {MOST_OF_WAYS} bytes altogether.", field="begins")
        if self.typed > min(map(len, self.begins), default=0):
            raise BadRequestError("typed counts bytes that each of begins has.", field="typed")
        ways: list[bytes] = []
        for way in sorted(self.begins):
            # What begins with another way says nothing new, and would be looked up all the same.
            if not (ways and way.startswith(ways[-1])):
                ways.append(way)
        return Beginning(tuple(ways), self.typed, self.banned)

    def exact(self, size: int) -> ExactAsk:
        """Return the rest, for a prompt of so many tokens."""
        start, stop = self.fixed or (0, 0)
        if not start <= stop < size:  # the last token is read each time: the text follows from it
            raise BadRequestError(
                "fixed is [from, to], and ends before the prompt's last token.", field="fixed"
            )
        return ExactAsk(
            hint=tuple(self.hint),
            aligned=self.aligned,
            suffix_span=(start, stop),
            language=self.language,
            urgency=self.priority,
        )


# What a field is called in the body, by what it is called elsewhere.
FIELDS = {name: f"turbopilot.{name}" for name in PeerOptions.__struct_fields__}


def identity(engine: Engine) -> str:
    """Return a digest of what the engine's answers depend on: a path may be in that."""
    known_by = f"{engine.identity}\n{engine.name}"
    return hashlib.sha256(known_by.encode()).hexdigest()[:_SHORT]


def offer(engine: Engine | None) -> dict[str, Any]:
    """Return what another server of ours wants to know; of the engine only where one is loaded.

    Its first call for an engine is slow: see `vocabulary_digest`.
    """
    if engine is None:
        return {"version": VERSION}
    abilities = engine.abilities
    return {
        "version": VERSION,
        "places": abilities.places,
        "context_size": engine.context_size,
        "holds": abilities.holds,
        "chances": abilities.chances,
        "top": min(abilities.top, MOST_CHANCES),
        "ahead": abilities.ahead,
        "samplers": sorted(abilities.samplers),
        "identity": identity(engine),
        "vocabulary": vocabulary_digest(engine.vocabulary),
        "lasting": abilities.lasting,
    }
