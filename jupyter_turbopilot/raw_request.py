"""What every protocol but our own asks for: text as the model writes it, without trimming or gate. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from jupyter_turbopilot.generation import Sampling

Stop = Annotated[str, Meta(max_length=1024)]  # each token is compared with all of it

Urgency = Literal["typing", "text", "bulk", "ahead", "warm"]


@dataclass(frozen=True)
class ExactAsk:
    """What another server of ours had asked its engine: nothing is added to it here, or known better."""

    hint: tuple[int, ...] = ()
    aligned: bool = True
    suffix_span: tuple[int, int] = (0, 0)
    language: str = ""
    urgency: Urgency | None = None


@dataclass(frozen=True)
class RawRequest:
    """Text that is to be written behind a prompt, or between it and a suffix."""

    prompt: str | tuple[int | str, ...] = ""
    suffix: str | None = None  # None: the model goes on; otherwise it fills in
    typed: str = ""  # the line at the cursor, which llama.cpp's editors send apart
    others: tuple[tuple[str, str], ...] = ()  # other files and their texts
    context: tuple[tuple[str, str], ...] = ()  # what a template put before it: see `holes`
    window: bool = False  # lay it out as llama.cpp's server does for `/infill`
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    indent: int = 0  # a line further left than this does not belong to it
    n: int = 1
    best_of: int = 1
    stream: bool = False
    bulk: bool = False  # one of several that are asked for together: whoever types goes first
    cut: bool = False  # whether a prompt that does not fit loses its far end
    prompt_seconds: float = 0.0  # how long the prompt may be read; 0: as long as it takes
    seconds: float = 0.0  # how long may be written
    ahead: bool = False  # only read, for what will be asked later: everything else goes first
    exact: ExactAsk | None = None  # the prompt is token ids, which are used as they are
    salt: str = ""  # splits the owner's texts: what has another salt shares nothing with it
    session: str = ""  # which notebook it belongs to: a router sends the same to the same replica
