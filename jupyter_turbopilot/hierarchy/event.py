"""What happens while functions are written, as objects that become lines of JSON. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Kind = Literal["found", "writing", "finished", "renamed", "reused", "given_up", "done"]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to a function; the last event, `done`, has the whole result."""

    event: Annotated[
        Kind,
        Meta(
            description="`found`: a function is to be written; `writing`: it is being written, or has "
            "another line; `finished`; `renamed`: calls of a name that means something else got a new one; "
            "`reused`: one that exists is called; `given_up`: it was not written, or has no body; `done`"
        ),
    ]
    name: Annotated[str, Meta(description="name of the function")] = ""
    caller: Annotated[str, Meta(description="the function that calls it")] = ""
    depth: Annotated[int, Meta(description="how many calls below the first function it was found")] = 0
    source: Annotated[
        str,
        Meta(description="its name and parameters when it is found; then its text; of `done` all functions"),
    ] = ""
    former: Annotated[str, Meta(description="of `renamed`: the name that the calls had")] = ""
    message: Annotated[str, Meta(description="why, for a person")] = ""
    undefined: Annotated[
        tuple[str, ...], Meta(description="of `done`: names that the result uses and nothing defines")
    ] = ()
    tokens: Annotated[int, Meta(description="of `done`: how many tokens were written")] = 0
