"""What the model is asked for a function, and what it answered. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jupyter_turbopilot.request import Cell, Completion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.reply import Reply
    from jupyter_turbopilot.request import Hierarchy

LINES = 120  # of a function that the model writes at once
TOKENS = 192  # of one answer; a longer function is written in several
DRAWN = 0.6  # the temperature of anything but the likeliest


@dataclass(frozen=True)
class Question:
    """A completion that has to be asked for, and for which function."""

    completion: Completion
    name: str = ""
    beginning: str = ""  # of the function, as far as it stands
    until: float = math.inf  # when nobody waits for more of it, by `time.monotonic`


@dataclass(frozen=True)
class Continuation:
    """What the model wrote for a `Question`."""

    text: str = ""
    whole: bool = True  # whether the model has ended it
    tokens: int = 0
    late: bool = False  # whether its time was up before anything was written

    def __post_init__(self) -> None:
        # Python ends a line at a carriage return, which the lines of a text would not show.
        text = self.text.replace("\r\n", "\n").replace("\r", "\n")
        object.__setattr__(self, "text", text)


def continuation_in(reply: Reply) -> Continuation:
    """Return what a reply has."""
    if not reply.items:
        # Without a reason the model had nothing more to say.
        return Continuation(whole=not reply.finish_reason, late=bool(reply.finish_reason))
    item = reply.items[0]
    return Continuation(item.text, item.finish_reason == "stop", len(item.tokens))


def completion_for(
    request: Hierarchy,
    above: Sequence[str],
    beginning: str,
    length: int,
    attempt: int,
    *,
    lines: Literal["single", "multi"] = "multi",
) -> Completion:
    """Ask for what follows a beginning; above it stand the cells of a request and what was written."""
    cells = [*request.cells, *(Cell(source=source) for source in above if source)]
    return Completion(
        path=request.path,
        cells=[*cells, Cell(source=beginning)],
        active=len(cells),
        offset=len(beginning),
        lines=lines,
        max_lines=LINES,
        max_tokens=min(length, TOKENS),
        stream=True,
        temperature=DRAWN if attempt else 0.0,
        seed=attempt,
    )
