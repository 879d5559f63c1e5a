"""The request for a function with its helper functions, and the events of the response. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from jupyter_turbopilot.protocol.contract import Error  # noqa: TC001 - the schema is made at run time
from jupyter_turbopilot.protocol.request import MAX_CELLS, Cell, NotebookRequest, OnlyPython
from jupyter_turbopilot.util.bounds import FUNCTION_TOKENS, MOST_FUNCTION_TOKENS, STATEMENT

Kind = Literal["found", "writing", "finished", "given_up", "done"]


class FunctionRequest(NotebookRequest, frozen=True, kw_only=True):
    """A function to generate with the helper functions that it calls."""

    source: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=STATEMENT,
            description="an instruction, or a stub: a `def` line, optionally with a docstring",
        ),
    ]
    language: OnlyPython = "python"
    cells: Annotated[list[Cell], Meta(max_length=MAX_CELLS, description="the cells above")] = msgspec.field(
        default_factory=list
    )
    names: Annotated[
        list[Annotated[str, Meta(max_length=512)]],
        Meta(
            max_length=MAX_CELLS,
            description="existing names. If given, cells with `executed` add no further names",
        ),
    ] = msgspec.field(default_factory=list)
    max_tokens: Annotated[
        int, Meta(ge=1, le=MOST_FUNCTION_TOKENS, description="maximum number of generated tokens in all")
    ] = FUNCTION_TOKENS


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A state change of a function; the last event, `done`, contains the whole result."""

    event: Annotated[
        Kind,
        Meta(
            description="`found`: a function is to be generated; `writing`: it is being generated, or has "
            "another line; `finished`; `given_up`: it was not generated, or has no body; `done`"
        ),
    ]
    name: Annotated[str, Meta(description="name of the function")] = ""
    caller: Annotated[str, Meta(description="the function that calls it")] = ""
    source: Annotated[
        str,
        Meta(description="its name and parameters when found; then its source; for `done`, all functions"),
    ] = ""
    message: Annotated[str, Meta(description="a human-readable reason")] = ""
    undefined: Annotated[
        tuple[str, ...], Meta(description="for `done`: names that the result uses and nothing defines")
    ] = ()
    tokens: Annotated[int, Meta(description="for `done`: number of generated tokens")] = 0


class HelperEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a streamed response of `helpers`. The last is `done`, or has an `error`."""

    error: Error | UnsetType = UNSET
