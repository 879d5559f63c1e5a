"""What a training is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_turbopilot.config import Turbopilot

ADAPTER_RATE, SCRATCH_RATE = 3e-4, 6e-3
KEPT = (".training", ".steady", ".rows", ".long")  # beside what is written, to go on from
SHARE_OF_A_LANGUAGE = 0.1  # of the minutes, for each tune behind a training from scratch
_STRANGE = re.compile(r"[^\w+#-]+")


@dataclass(frozen=True)
class TrainingOptions:
    """What to learn from, how, and where to write it."""

    paths: list[Path]
    output: Path
    minutes: float
    language: list[str]  # empty: all
    rank: int
    rate: float | None  # None: what suits the way of training
    cells: int  # a step; 0: what suits the device
    context: int  # tokens before the cursor
    held_out: float
    places: int  # to test at; 0: no test
    plain: bool
    fresh: bool
    whole: bool
    scratch: bool
    width: int
    layers: int
    heads: int
    length: int
    each_language: bool

    def tune(self, language: str) -> TrainingOptions:
        """Ask for a tune of what was trained from scratch to one language."""
        return replace(
            self,
            # Notebooks call their languages as they like.
            output=self.output.with_stem(f"{self.output.stem}-{_STRANGE.sub('-', language)}"),
            minutes=self.minutes * SHARE_OF_A_LANGUAGE,
            scratch=False,
            each_language=False,
        )

    def forget(self) -> None:
        """Delete what an earlier training kept to go on from."""
        for ending in KEPT:
            self.output.with_suffix(ending).unlink(missing_ok=True)


def changed(settings: Turbopilot, **traits: Any) -> Turbopilot:
    """Return a copy of the settings with some of them changed."""
    return type(settings)(**settings.trait_values(config=True) | traits)
