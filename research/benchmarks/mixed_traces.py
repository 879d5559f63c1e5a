"""Traces of all kinds in fixed shares, for measuring speed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from turbopilot_research.evaluate.traces import MAKERS, SHARES, Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from turbopilot_research.evaluate.notebooks import TypedNotebook


def mixed(notebooks: Sequence[TypedNotebook], requests: int, seed: int = 11) -> list[Trace]:
    """Create traces with about `requests` requests."""
    rng = random.Random(seed)  # noqa: S311 - a reproducible choice
    traces: list[Trace] = []
    for kind, share in SHARES.items():
        count = 0
        while count < requests * share:
            trace = MAKERS[kind](rng, rng.choice(notebooks))
            if trace:
                trace = Trace(kind, trace.name, trace.keystrokes[: max(4, int(requests * share - count))])
                traces.append(trace)
                count += len(trace.keystrokes)
    rng.shuffle(traces)
    return traces
