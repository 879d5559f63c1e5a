"""The request for a function with its helper functions."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from jupyter_turbopilot.protocol.request import (
    MAX_CELLS,
    Cell,
    Enabled,
    Name,
    NotebookKernel,
    OnlyPython,
)
from jupyter_turbopilot.util.bounds import FUNCTION_TOKENS, MOST_FUNCTION_TOKENS, STATEMENT


class FunctionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A function to generate with the helper functions that it calls."""

    source: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=STATEMENT,
            description="an instruction, or a stub: a `def` line, optionally with a docstring",
        ),
    ]
    path: Annotated[Name, Meta(description="path of the notebook or file on the server")] = ""
    language: OnlyPython = "python"
    kernel_id: NotebookKernel = None
    enabled: Enabled = None
    cells: Annotated[list[Cell], Meta(max_length=MAX_CELLS, description="the cells above")] = []
    names: Annotated[
        list[Annotated[str, Meta(max_length=512)]],
        Meta(
            max_length=MAX_CELLS,
            description="existing names. If given, cells with `executed` add no further names",
        ),
    ] = []
    depth: Annotated[
        int, Meta(ge=0, le=8, description="maximum depth of nested calls; 0: only the first function")
    ] = 3
    functions: Annotated[int, Meta(ge=1, le=64, description="maximum number of functions")] = 12
    max_tokens: Annotated[
        int, Meta(ge=1, le=MOST_FUNCTION_TOKENS, description="maximum number of generated tokens in all")
    ] = FUNCTION_TOKENS
    seconds: Annotated[
        float, Meta(gt=0.0, le=3600.0, description="time limit in seconds; after it, the result is partial")
    ] = 120.0
